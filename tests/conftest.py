"""What holds for every test: a property fails by its answer, never by a busy machine's clock."""

from hypothesis import settings

settings.register_profile("project", deadline=None)
settings.load_profile("project")
