"""The public front page and the signed-in home; pages only."""
