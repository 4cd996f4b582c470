"""The targets: each module has one `TARGET`, and its docstring says what that promises."""
