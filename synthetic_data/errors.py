"""What can go wrong, as small named classes. The command prints their text as one line and exits with 2, 3 or 4.

PopulationError            the base of all
  SpecError                the request itself cannot be met (exit 2)
    UnknownStoryError
  StoryFormatError         a clinical story file breaks the documented format (exit 2)
  OutputError              a directory cannot be read or written, or is not whole (exit 3)
  WorkerError              a worker process was killed or failed (exit 4)
"""


class PopulationError(Exception):
    """Base of every error this package raises on purpose; its text is one clear line."""

    exit_code = 2


class SpecError(PopulationError):
    """The population asked for cannot exist."""


class UnknownStoryError(SpecError):
    """A clinical story was named that is not in the registry."""


class StoryFormatError(PopulationError):
    """A clinical story file does not follow the documented format."""


class OutputError(PopulationError):
    """The output directory cannot be used, or what is in it is not whole."""

    exit_code = 3


class WorkerError(PopulationError):
    """A worker process was killed or failed; what is written can be gone on with."""

    exit_code = 4
