"""Where people live and who cares for and pays for them: tables read from sourced data files, never from the
network."""
