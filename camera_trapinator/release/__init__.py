"""What others get, and what it is checked for before: repositories, runs, models.

A repository (scripts/check_release.py): `history` reads all that git tracks and has ever tracked,
`kinds`, `leaks`, `coordinates` and `pictures` say what must not be published of it, `completeness`
what is missing, `findings` gathers it with its cures. A run (scripts/reproduce.py): `reproduce*`. A
model (scripts/publish.py): `publish*`. Nothing else in the project uses this wing.
"""
