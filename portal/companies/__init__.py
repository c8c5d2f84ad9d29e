"""Companies, their members and invitations, and the ministry's verification of them."""
