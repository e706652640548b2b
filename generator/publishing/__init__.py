"""What was made, put where it is read: a static Space, a repository of a model, a branch for Pages."""
