"""Which species the classes are, as the project file tells it: Camtrap DP's `taxonomic`."""

from collections import Counter
from collections.abc import Iterable, Sequence

from ..data.files import spelled
from .project_rules import TAXON
from .records import UNKNOWN

NO_ANIMALS = {"person": "human", "human": "human", "vehicle": "vehicle"}
HUMAN = "Homo sapiens"


def kind_of(name: str) -> str:
    """Camtrap DP's observationType of a class: animal, human or vehicle."""
    return NO_ANIMALS.get(name.lower(), "animal")


def read_taxa(facts: dict, classes: Sequence[str], faults: list[str]) -> dict[str, dict]:
    """What is told of the species of each class, by the names of Camtrap DP's `taxonomic`."""
    told = facts.get("species", {})
    if not isinstance(told, dict):
        faults.append(f"species {str(told)!r:.60} must be lines such as `fox: Vulpes vulpes`, one "
                      "for each class")
        return {}
    language, taxa = facts.get("language", "eng"), {}
    for name in classes:
        taxon, kind = told.get(name), kind_of(name)
        if kind == "vehicle" or name == UNKNOWN:
            continue
        if taxon is None and kind == "human":
            taxon = HUMAN
        if taxon is None:
            alike = [key for key in told if spelled(str(key)) == spelled(name)]
            faults.append(f"species has no scientific name for {name!r}; " + (
                f"write it so in place of {alike[0]!r}" if alike else
                f"add a line such as `{name}: Vulpes vulpes` below species"))
            continue
        taxon = taxon if isinstance(taxon, dict) else {"scientificName": taxon}
        before = len(faults)
        faults += TAXON(taxon, f"species, {name}:")
        if len(faults) == before:
            taxon = {key: text.strip() if isinstance(text, str) else text
                     for key, text in taxon.items()}
            taxa[name] = {**taxon, "vernacularNames": taxon.get("vernacularNames")
                          or {str(language): name}}
    shared = Counter(taxon["scientificName"] for taxon in taxa.values())
    for scientific in [name for name, number in shared.items() if number > 1]:
        of_one = {name: taxon for name, taxon in taxa.items()
                  if taxon["scientificName"] == scientific}
        for key in sorted({key for taxon in of_one.values() for key in taxon} - {
                "vernacularNames"}):
            if len(texts := {taxon[key] for taxon in of_one.values() if key in taxon}) > 1:
                faults.append(f"species, {', '.join(of_one)}: all are {scientific}, and their "
                              f"{key} is {' and '.join(map(repr, sorted(texts)))}; give one")
    return taxa


def joined(taxa: Iterable[dict]) -> list[dict]:
    """The taxa with each scientific name once; several common names of one become one text."""
    joined: dict[str, dict] = {}
    for taxon in taxa:
        one = joined.setdefault(taxon["scientificName"], {})
        names = dict(one.get("vernacularNames", {}))
        for language, name in taxon["vernacularNames"].items():
            known = names.get(language)
            names[language] = name if known in (None, name) else f"{known} / {name}"
        one |= {**taxon, "vernacularNames": names}
    return list(joined.values())
