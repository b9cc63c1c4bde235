"""The two commands that answer a question at the prompt: ``python -m rfcore spectrum`` and ``losses``."""
