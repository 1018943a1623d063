#!/bin/sh
# Makes .venv with the newest suitable Python, after installing the system packages that building kwload needs and that
# are missing. `bootstrap.sh fuzz` asks for clang and its fuzzer as well. PYTHON names another interpreter.
set -eu
cd "$(dirname "$0")/.."

stop() {
    echo "kwload: $*" >&2
    exit 1
}

python=
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || stop "Python 3.11 or newer is needed: install python3, or name an interpreter with PYTHON=..."
version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')

# builds PROGRAM COMPILER FLAG...: true if the compiler makes an executable of the program
builds() {
    program=$1
    shift
    echo "$program" | "$@" -x c -o /dev/null - 2>/dev/null
}

missing=$("$python" scripts/native.py --missing)
builds '#include <stdio.h>
int main(void) { return puts("") < 0; }' "${CC:-cc}" || missing="$missing gcc libc6-dev"
"$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
    missing="$missing $version-dev"
"$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing $version-venv"
if [ "${1-}" = fuzz ]; then
    builds 'int LLVMFuzzerTestOneInput(const char *data, unsigned long size) { return size && !data; }' \
        "${CLANG:-clang}" -fsanitize=fuzzer,address,undefined || missing="$missing clang libclang-rt-dev"
fi
missing=$(echo $missing)

if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || stop "packages are missing, install them (these are Debian's names): $missing"
    if [ "$(id -u)" = 0 ]; then
        root=
    elif sudo -n true 2>/dev/null; then
        root='sudo -n'
    else
        stop "packages are missing; run this as root, then make again: apt-get install $missing"
    fi
    echo "kwload: installing $missing"
    # A stale list of one repository need not stop the install from another.
    $root apt-get update -q </dev/null || true
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing </dev/null ||
        stop "apt-get could not install the packages that are missing: $missing"
fi

.venv/bin/python -c 'import pip' 2>/dev/null || "$python" -m venv --clear .venv
