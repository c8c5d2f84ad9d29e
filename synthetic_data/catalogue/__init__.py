"""What can be diagnosed, prescribed, measured and done, with Persian and English words and the code systems' codes."""
