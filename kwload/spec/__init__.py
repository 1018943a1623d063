"""What a model wants: the model's side of the join, as tables of groups, variables and edges."""
