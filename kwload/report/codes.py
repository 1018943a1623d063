"""The catalogue: for every code of ``csrc/base/codes.h`` what it is called, its headline, and what it means.

A headline is a sentence that stands alone; the names in braces are filled in, escaped, by the builder.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from kwload.errors import (
    WeightsError,
    WeightsFileError,
    WeightsIsADirectoryError,
    WeightsMismatchError,
    WeightsNotFoundError,
    WeightsPermissionError,
)
from kwload.report.finding import Finding, Report

Kind = Literal["file", "fit"]
"""Whether an error of this code is about the file itself (``OSError``, exit code 3) or about how it fits
(``ValueError``, exit code 1)."""


class _Names(dict[str, object]):
    """What is not known is said so: a report must come out whatever a file held."""

    def __missing__(self, name: str) -> str:
        return "?"


@dataclass(frozen=True, slots=True)
class Entry:
    """One code.

    Attributes
    ----------
    number : int
        As in ``codes.h``.
    slug : str
        As in ``codes.h``.
    kind : {"file", "fit"}
        What an error of this code is about.
    headline : str
        The sentence of a finding, with names in braces.
    explanation : str
        What it means, for someone who meets it the first time.
    """

    number: int
    slug: str
    kind: Kind
    headline: str
    explanation: str

    @property
    def code(self) -> str:
        """``"KW307"``."""
        return f"KW{self.number}"

    def say(self, **names: object) -> str:
        """The headline with its names filled in."""
        return self.headline.format_map(_Names(names))


_ENTRIES: Final = (
    Entry(
        101,
        "not-found",
        "file",
        "there is no file at {path}",
        "Nothing exists at this path. Relative paths start at the current directory of the process, which in a "
        "notebook, a test or a service is often another one than expected.",
    ),
    Entry(
        102,
        "permission-denied",
        "file",
        "{path} may not be read by this user",
        "The file, or a folder on the way to it, is closed to the user that runs this process.",
    ),
    Entry(
        103,
        "is-a-directory",
        "file",
        "{path} is a directory, not a weight file",
        "A path to a directory was given. An unzipped `.keras` folder and a KerasHub preset can be read; others "
        "hold no weights of their own.",
    ),
    Entry(
        104,
        "dangling-link",
        "file",
        "{path} is a link to something that does not exist",
        "The path is a symbolic link whose target is gone: moved, on a disk that is not mounted, or in a cache "
        "that was cleared.",
    ),
    Entry(
        105,
        "empty-file",
        "file",
        "{path} is empty: 0 bytes",
        "The file exists and has no contents. A download that never began, a full disk, or a save that was killed "
        "at once leave such files.",
    ),
    Entry(
        106,
        "not-a-regular-file",
        "file",
        "{path} is not a regular file: {detail}",
        "A device, a pipe or a socket stands at this path. A weight file is read at arbitrary places, which these "
        "do not allow.",
    ),
    Entry(
        107,
        "read-error",
        "file",
        "{path} could not be read: {detail}",
        "The operating system refused to read the bytes. The reason is its own.",
    ),
    Entry(
        108,
        "locked",
        "file",
        "another process (pid {pid}) has the file open for writing",
        "libhdf5 locks a file that it writes, and a second process that opens it fails. kwload takes no lock and reads "
        "it all the same, but the writer may not be done.",
    ),
    Entry(
        201,
        "not-a-weight-file",
        "file",
        "{path} is {content}, not a weight file",
        "The first bytes tell what a file is, whatever its name says. This one holds no Keras weights. Keras "
        "reports all of these alike, as `file signature not found`.",
    ),
    Entry(
        202,
        "truncated",
        "file",
        "the file is cut short: {sizes}",
        "The file says in its header how long it is, and is shorter: an interrupted download or copy. What lies "
        "before the cut is still whole.",
    ),
    Entry(
        203,
        "interrupted-save",
        "file",
        "the save that wrote this file never finished",
        "HDF5 writes the structure of a file at the end. This file has values and no structure: the process that "
        "saved it was killed, or the disk was full. No tensor can be named, so nothing can be taken from it.",
    ),
    Entry(
        204,
        "corrupt",
        "file",
        "the file is damaged{where}: {detail}",
        "Bytes that describe the structure of the file are not what they must be. What they describe cannot be found.",
    ),
    Entry(
        205,
        "checksum",
        "file",
        "the bytes of {member} are not those that were saved: its checksum is wrong",
        "A `.keras` archive records a checksum of each member. The bytes have changed since they were written, "
        "and HDF5 inside has no checksum of its own, so nobody can say which values are affected.",
    ),
    Entry(
        206,
        "name-and-content-disagree",
        "fit",
        "the file {content}, but its name makes Keras look for {assumed}",
        "Keras chooses the reader by the end of the file's name, kwload by its contents. When both disagree, "
        "Keras looks for something that is not there and reports that every layer is missing.",
    ),
    Entry(
        207,
        "shard-missing",
        "file",
        "{shard} is missing: {detail}",
        "The weights are split over several files and a map names them. One of them is not beside the map.",
    ),
    Entry(
        208,
        "unsupported",
        "file",
        "{what} cannot be read: {detail}",
        "The file is, or contains, something that this version of kwload names but does not read. Nothing is "
        "known to be wrong with it.",
    ),
    Entry(
        209,
        "weights-only",
        "fit",
        "the file holds weights only, no architecture",
        "The model cannot be rebuilt from this file: build it in code, then load the weights into it.",
    ),
    Entry(
        210,
        "whole-model",
        "fit",
        "the file holds a whole model; only its weights are used",
        "`model.save` wrote it: architecture, weights, and often the optimizer. Loading weights from it is fine.",
    ),
    Entry(
        211,
        "changed-while-reading",
        "file",
        "the file changed while it was being read",
        "Its size or time of change is no longer what it was when it was opened: another process is writing to "
        "it. What was read may be half of the old file and half of the new one.",
    ),
    Entry(
        212,
        "no-keras-weights",
        "file",
        "the file is sound and holds no Keras weights",
        "It is an HDF5 file whose structure is none that Keras writes, or one that holds only the state of an "
        "optimizer.",
    ),
    Entry(
        213,
        "out-of-memory",
        "file",
        "there is not enough memory to read the file",
        "An allocation failed. kwload allocates by what it has read, never by what a file merely declares.",
    ),
    Entry(
        214,
        "shard-mismatch",
        "file",
        "{what}",
        "A map says which shard holds which layers, and how many bytes there are in all. A shard holds something else, "
        "or the sizes differ: it belongs to another save, or a file was renamed or overwritten.",
    ),
    Entry(
        301,
        "missing",
        "fit",
        "the file has no weights for {what}",
        "The model has variables for which the file has no tensor.",
    ),
    Entry(
        302,
        "unused",
        "fit",
        "{what} of the file {verb} not used by the model",
        "The file has weights that no variable of the model takes. Keras does not say so.",
    ),
    Entry(
        303,
        "renamed",
        "fit",
        "{what}",
        "Layers are matched by their place, so a changed name of a layer does no harm; loading by name would skip it. "
        "The name of an attribute, or of a class, is part of the place in the Keras 3 formats: where it was changed in "
        "the code, what is below is not found.",
    ),
    Entry(
        304,
        "swapped",
        "fit",
        "{what} would receive the weights of another layer",
        "Shapes fit, so Keras loads without a word; the names that were given by the user and stored in the file "
        "say that the weights belong to other layers of this model.",
    ),
    Entry(
        305,
        "inserted",
        "fit",
        "{what}",
        "A layer was added or removed in the middle. Keras matches by place, so "
        "everything after it shifts by one, silently.",
    ),
    Entry(
        306,
        "count-mismatch",
        "fit",
        "{what}: {found} in the file, {expected} in the model",
        "File and model have a different number of layers, or of weights in a layer.",
    ),
    Entry(
        307,
        "shape-mismatch",
        "fit",
        "{variable} has another shape in the file",
        "The tensor in the file and the variable of the model have different shapes. Most often a number of "
        "units, filters or classes was changed after the file was written.",
    ),
    Entry(
        308,
        "transposed",
        "fit",
        "{variable} is transposed in the file",
        "The axes of the tensor are those of the variable in another order: the file was written by a framework, "
        "or an old Keras, with another convention for kernels.",
    ),
    Entry(
        309,
        "dtype",
        "fit",
        "{what} {verb} {found} in the file and {expected} in the model: {effect}",
        "The values are converted when they are loaded. From a wider type to a narrower one, precision or range "
        "is lost.",
    ),
    Entry(
        310,
        "nothing-matched",
        "fit",
        "nothing matches: 0 of {wanted} {how}",
        "Not one variable of the model has a tensor in the file. Keras can return normally in this case, having "
        "loaded nothing.",
    ),
    Entry(
        311,
        "not-built",
        "fit",
        "{what} not built yet, so there {verb} nothing to load into",
        "Keras creates the variables of a layer when it first sees the shape of its input. Until then there is "
        "nothing that weights could go to.",
    ),
    Entry(
        312,
        "prefix",
        "fit",
        "{what}",
        "The weights were saved from inside another object, so each name in the file has something in front that "
        "the model's names do not have, or the other way round.",
    ),
    Entry(
        313,
        "variable-order",
        "fit",
        "the weights of {layer} are in another order in the file",
        "The older format stores trainable weights before frozen ones. When a nested model was saved with other "
        "layers frozen, the order in the file is another one, and Keras assigns by position.",
    ),
    Entry(
        314,
        "reset-after",
        "fit",
        "{variable}: the GRU in the file and the one in the model differ in `reset_after`",
        "A GRU with `reset_after=True` has a bias of two rows, one with `reset_after=False` of one. Both compute "
        "different things; the weights of one are not those of the other.",
    ),
    Entry(
        315,
        "quantized",
        "fit",
        "{layer} is quantized on one side only",
        "Quantization replaces a float kernel by an integer one and its scales. File and model must be quantized in "
        "the same way, or both not, before weights can be loaded.",
    ),
    Entry(
        316,
        "optimizer",
        "fit",
        "{what}",
        "Optimizer state matters for going on with a training only. The weights of the model are complete without it.",
    ),
    Entry(
        317,
        "untracked-variable",
        "fit",
        "{layer} keeps a `tf.Variable` in `self.{attribute}` that Keras neither saves nor loads",
        "Keras 3 tracks variables made by `add_weight` and `keras.Variable`. A raw `tf.Variable` is used in the "
        "computation and is not in any weight file.",
    ),
    Entry(
        318,
        "skipped",
        "fit",
        "{what}: {verb} as initialised",
        "The call asked for mismatches to be skipped. kwload skips a layer whole, never half.",
    ),
    Entry(
        319,
        "undecidable",
        "fit",
        "nothing tells {what} apart",
        "These layers have the same class and the same shapes, and neither the file nor the model has names given "
        "by a user. If their order was changed after saving, nobody can see it.",
    ),
    Entry(
        320,
        "option-not-supported",
        "fit",
        "{option} does not work with this file",
        "Keras takes this option for the older `.h5` format only, or only together with another one.",
    ),
    Entry(
        321,
        "variable-keys",
        "fit",
        "the weights of {layer} have other keys in the file",
        "The number of weights agrees and their keys do not, so it cannot be said which is which.",
    ),
    Entry(
        322,
        "another-architecture",
        "fit",
        "the file holds the weights of another architecture: {what}",
        "Neither the number of layers nor their shapes agree anywhere near. What the file looks like is told from its "
        "layers; the wrong file was downloaded, or the path is another model's.",
    ),
    Entry(
        323,
        "counter-offset",
        "fit",
        "the numbers that Keras appends to names differ by {offset}",
        "Keras numbers the layers of one process: `conv2d`, `conv2d_1`. A model that was built second has other "
        "numbers than one built first, so by name nothing matches, although nothing else differs.",
    ),
    Entry(
        324,
        "not-saved",
        "fit",
        "{what} of the model {verb} never written to the file",
        "Keras before 3.15 did not save layers that are kept in lists inside lists. The file cannot give them weights, "
        "and Keras loads it without a word.",
    ),
    Entry(
        325,
        "lora",
        "fit",
        "{layer} has LoRA weights on one side only",
        "LoRA adds two small matrices to a kernel. The V3 formats store the merged kernel, the legacy format stores "
        "the two matrices beside it, in another order.",
    ),
    Entry(
        326,
        "head-changed",
        "fit",
        "the head is another one: {expected} in the model, {found} in the file",
        "All layers but the last ones match, and those are others than the last ones of the file: the model was given "
        "a new classifier. The rest can be loaded, and the new layers trained.",
    ),
    Entry(
        327,
        "part-of-a-model",
        "fit",
        "{what}",
        "The weights are those of a model inside of another one, such as a backbone: saved alone and loaded into the "
        "whole, or the other way round. Keras matches from the top, and finds them nowhere. Number and shapes say so.",
    ),
    Entry(
        401,
        "config-changed",
        "fit",
        "{layer} has another configuration in the file",
        "A whole-model file records how each layer was configured and how the layers were joined. Something differs "
        "from the model that no shape shows. The weights fit, and are used for another computation than they were "
        "trained for; what acts in training only, such as dropout, is a note.",
    ),
    Entry(
        402,
        "custom-layer-not-registered",
        "fit",
        "the {kind} {layer} is not known here",
        "The file names a class or function that is neither one of Keras's nor registered: a layer, or what a layer or "
        "the compilation uses.",
    ),
    Entry(
        403,
        "custom-layer-changed",
        "fit",
        "the code of {layer} changed after the file was written",
        "The class has the same name and other code.",
    ),
    Entry(
        404,
        "not-verifiable",
        "fit",
        "the code of {layer} loads the weights itself: what it does cannot be foreseen",
        "The class overrides `load_own_variables`: what it does with the tensors is known only when it runs. Or the "
        "file names a class or function of your own: its settings are recorded, its code is not.",
    ),
    Entry(
        405,
        "version",
        "fit",
        "{reader} cannot rebuild the architecture in the file{writer}",
        "Each release of Keras knows other classes and other keys of their constructors. An architecture that one "
        "stored can often not be rebuilt by another; the weights beside it nearly always can be loaded.",
    ),
    Entry(
        406,
        "keras-refuses",
        "fit",
        "{reader} itself would raise {error}, though the file fits the model",
        "Every variable finds its tensor, and Keras's own reader does not get that far with this file: it looks for "
        "something under another name, or cannot convert a type.",
    ),
    Entry(
        407,
        "signature-contradicts",
        "fit",
        "{layer} makes other variables than its signature says: {what}",
        "A signature says which variables a class of your own has, without building it. The class that was built has "
        "others: one of the two was changed and the other was not.",
    ),
    Entry(
        408,
        "signature-failed",
        "fit",
        "{whose} {layer} {reason}",
        "A signature is a function of your own that is called with the config of a layer and the shape of its input. "
        "It raised, or what it returned describes no layer, so the variables of the layer were not compared with it. "
        "Or the class was to be built to find its variables, and could not be.",
    ),
    Entry(
        409,
        "signature-confirms",
        "fit",
        "{what} {verb} the variables that {signature}",
        "The variables of the class, and where it is loaded the tensors of the file, are those that you declared. A "
        "signature speaks of variables, not of what is computed from them.",
    ),
    Entry(
        410,
        "shapes-not-known",
        "fit",
        "{what} could not be checked: {why}",
        "An architecture says which layers there are. The variables of a class of your own stand in its code, and what "
        "its calls return too; behind it shapes are known as far as settings tell them. What is not known is left "
        "out of the comparison, and what is known is compared.",
    ),
    Entry(
        411,
        "not-as-stamped",
        "fit",
        "{what} changed since the file was stamped",
        "A stamp holds a checksum of each tensor and of all bytes between them. What does not agree was changed after "
        "the stamp was made: by another save, by a tool, by a copy that went wrong or by a disk.",
    ),
    Entry(
        412,
        "stamp",
        "file",
        "the stamp {stamp} cannot be used: {why}",
        "A stamp is the file `<file>.kwload.json` beside a weight file. It says what the file was and by which code "
        "its layers computed; without one that belongs to the file, nothing can be compared.",
    ),
    Entry(
        413,
        "output-changed",
        "fit",
        "{what} {verb} not what {whose} when the file was stamped{by}",
        "The stamp holds what the model computed from inputs that anybody can make again. With the same weights the "
        "outputs are others now: code of a layer, an activation, a setting that no shape shows, or the library "
        "computes otherwise than then.",
    ),
    Entry(
        501,
        "not-finite",
        "fit",
        "{what} {verb} values that are not finite: {counts}",
        "NaN or infinity in a weight spreads to everything that is computed from it. Training diverged before the file "
        "was saved, or its bytes are not those that were written.",
    ),
    Entry(
        502,
        "zeroed-block",
        "fit",
        "{what} {verb} a block of zeros, and hardly any other zero: {detail}",
        "A run of zero bytes within values that look random is what a lost disk block or an unfinished copy leaves. "
        "HDF5 has no checksum by default, so nothing else shows it.",
    ),
    Entry(
        503,
        "lossy-cast",
        "fit",
        "{what}: the cast from {found} to {expected} makes {effect}",
        "The values in the file do not fit the type of the variable: they become infinite or zero, or another integer. "
        "Keras converts them without a word. Mere rounding is not meant.",
    ),
    Entry(
        504,
        "constant",
        "fit",
        "{what} {verb} one value everywhere: {value}",
        "A kernel of one value has learnt nothing: it may never have been initialised or trained, or is meant "
        "to be so.",
    ),
    Entry(
        601,
        "link-out-of-file",
        "file",
        "{where} is not in the file but a link: {detail}",
        "HDF5 files can point at other files. Following such a link would let a weight file read anything on this "
        "machine; kwload never does, and newer Keras refuses too.",
    ),
    Entry(
        602,
        "external-storage",
        "file",
        "{where} keeps its values in another file",
        "HDF5 datasets can keep their values in other files. Reading them would let a weight file read anything "
        "on this machine.",
    ),
    Entry(
        603,
        "virtual-dataset",
        "file",
        "{where} is a virtual dataset, put together from other files",
        "A virtual dataset is put together from parts of other files. kwload does not follow it.",
    ),
    Entry(
        604,
        "declared-size-bomb",
        "file",
        "{where} declares far more data than the file could hold: {detail}",
        "A small file that declares gigabytes is made to exhaust memory. It is not read.",
    ),
    Entry(
        605,
        "alias-or-cycle",
        "file",
        "{where} is reached twice: {detail}",
        "Two names lead to the same object, or a group contains itself. Keras writes no such file.",
    ),
    Entry(
        606,
        "overlap",
        "file",
        "{where} overlaps something else in the file: {detail}",
        "Two structures claim the same bytes. One of them is not what it says.",
    ),
    Entry(
        607,
        "zip-member",
        "file",
        "the archive has a member that is not accepted: {where}: {detail}",
        "A member's name leads out of the archive, occurs twice, or its sizes contradict each other.",
    ),
    Entry(
        608,
        "unclaimed-bytes",
        "file",
        "{sizes} that no structure and no tensor claims",
        "HDF5 leaves gaps where something was deleted or rounded up; an archive has none. What is hidden in them no "
        "reader of weights sees.",
    ),
)

CATALOGUE: Final[dict[int, Entry]] = {entry.number: entry for entry in _ENTRIES}
"""Number of a code -> its entry."""

_OWN_ERRORS: Final[dict[str, type[WeightsError]]] = {
    "KW101": WeightsNotFoundError,
    "KW102": WeightsPermissionError,
    "KW103": WeightsIsADirectoryError,
    "KW104": WeightsNotFoundError,
}


def kind_of(finding: Finding) -> Kind:
    """What a finding is about: the file itself, or how it fits."""
    return CATALOGUE[int(finding.code[2:])].kind


def error_class(refusing: Iterable[Finding]) -> type[WeightsError]:
    """The exception for findings that refuse a load: a damaged file is an ``OSError`` whatever else does not fit."""
    refusing = tuple(refusing)
    for finding in refusing:
        if finding.code in _OWN_ERRORS:
            return _OWN_ERRORS[finding.code]
    return WeightsFileError if any(kind_of(finding) == "file" for finding in refusing) else WeightsMismatchError


def exit_code(report: Report, strict: bool = False) -> int:
    """What a command ends with: 0 fine, 1 errors (or warnings, when *strict*), 3 a file is damaged or unreadable."""
    if any(kind_of(finding) == "file" for finding in report.errors):
        return 3
    return int(bool(report.errors or (strict and report.warnings)))
