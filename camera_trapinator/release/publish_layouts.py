"""What a published folder holds beside best.pt and its card, as Hugging Face and Zenodo want it.

Sources: the model card specification of the Hugging Face Hub (hub-docs, modelcard.md, and its list
of licences), the metadata of deposits of Zenodo's developer pages, the Citation File Format 1.2.0.
"""

import html
from collections.abc import Iterator
from pathlib import Path

import yaml

from .. import InputError
from ..data.files import sha256

# SPDX identifiers, which Zenodo takes as they are and the Hub in small letters.
LICENCES = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    **{f"CC-{kind}-4.0": f"https://creativecommons.org/licenses/{kind.lower()}/4.0/"
       for kind in ("BY", "BY-SA", "BY-NC", "BY-NC-SA", "BY-ND", "BY-NC-ND")},
    **{name: f"https://spdx.org/licenses/{name}.html"
       for name in ("MIT", "Apache-2.0", "BSD-3-Clause", "CDLA-Permissive-2.0", "etalab-2.0")},
}
PLACEHOLDERS = ("the camera trapinator developers",)  # of the repository that was forked
U_NET = "10.1007/978-3-319-24574-4_28"  # doi of its paper
SUMS = "SHA256SUMS"
WITH_LFS = "*.pt filter=lfs diff=lfs merge=lfs -text\n"  # large files are no part of git itself
METRICS = {"mean_iou": "mean IoU over the species", "foreground_iou": "foreground IoU",
           "mae": "mean absolute error", "rmse": "root mean square error", "r2": "R²"}


def licence_of(text: str) -> tuple[str, str]:
    """A licence as (SPDX identifier, address); ("", address) for terms of one's own. Raises
    InputError for what is neither."""
    if text.startswith(("https://", "http://")):
        return "", text
    for name, address in LICENCES.items():
        if name.lower() == text.strip().lower():
            return name, address
    raise InputError(f"--licence {text}: write one of {', '.join(LICENCES)}, or the address "
                     "(https://...) of terms of your own")


def read_citation(path: Path) -> dict:
    """CITATION.cff. Raises InputError where there is none, or it names no authors."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = str(error).replace("\n", " ")
        raise InputError(f"{path}: cannot be read ({reason}); it says how to cite you: write it "
                         "as citation-file-format.github.io tells") from None
    authors = content.get("authors") if isinstance(content, dict) else None
    if not isinstance(authors, list) or not all(isinstance(author, dict) for author in authors):
        raise InputError(f"{path}: names no authors; add them under the key authors, with "
                         "family-names and given-names")
    return content


def creators(citation: dict) -> list[dict]:
    """The authors of CITATION.cff as Zenodo has them: name (family, given), affiliation, orcid."""
    found = []
    for author in citation["authors"]:
        family = " ".join(filter(None, (author.get("name-particle"), author.get("family-names"))))
        name = ", ".join(filter(None, (family, author.get("given-names")))) or author.get("name")
        facts = {"name": name or author.get("alias") or "", "affiliation":
                 author.get("affiliation", ""), "orcid": author.get("orcid", "").split("/")[-1]}
        found.append({key: value for key, value in facts.items() if value})
    return [creator for creator in found if "name" in creator]


def warnings_of(citation: dict) -> Iterator[str]:
    """What in CITATION.cff is not yet yours."""
    names = [creator["name"] for creator in creators(citation)]
    if not names or any(name.lower() in PLACEHOLDERS for name in names):
        yield (f"CITATION.cff: the authors are {', '.join(names) or 'nobody'}; before you publish, "
               "write your own names there, with family-names and given-names")


def front_matter(title: str, licence: tuple[str, str], report: dict, regression: bool) -> str:
    """What stands above the card for the Hugging Face Hub: licence, tags, scores, as YAML."""
    name, address = licence
    terms = {"license": name.lower()} if name else {
        "license": "other", "license_name": "own-terms", "license_link": address}
    task = "other" if regression else "image-segmentation"
    results = []
    for group, row in report["locations"].items():
        scores = [{"type": key, "value": round(row[key], 4), "name": words}
                  for key, words in METRICS.items() if row.get(key) is not None]
        if row["images"] and scores:
            results.append({
                "task": {"type": task}, "metrics": scores,
                "dataset": {"type": f"camera-trap-photos-{group}-locations", "split": "test",
                            "name": f"{row['images']} own test photos of {group} locations"}})
    kind = "image-regression" if regression else "semantic-segmentation"
    content = {
        **terms, "library_name": "pytorch", **({} if regression else {"pipeline_tag": task}),
        "tags": ["camera-trap", "wildlife", "ecology", kind, "u-net"],
        "metrics": ["mae" if regression else "mean_iou"],
        "model-index": [{"name": title, "results": results}]}
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---\n\n"


def zenodo_metadata(title: str, version: str, licence: tuple[str, str], texts: list[str],
                    citation: dict, repository: str) -> dict:
    """The metadata of a deposit; `texts`: the paragraphs of its description."""
    paragraphs = "".join(f"<p>{html.escape(text, quote=False)}</p>" for text in texts)
    keywords = [str(word) for word in citation.get("keywords") or ["camera trap", "U-Net"]]
    return {
        "title": title, "upload_type": "other", "version": version, "description": paragraphs,
        "creators": creators(citation), "access_right": "open",
        **({"license": licence[0]} if licence[0] else {}), "keywords": keywords,
        "related_identifiers": [
            {"identifier": U_NET, "relation": "cites", "resource_type":
             "publication-conferencepaper", "scheme": "doi"},
            {"identifier": repository, "relation": "requires", "resource_type": "software",
             "scheme": "url"}],
    }


def checksums(folder: Path) -> str:
    """The lines that `sha256sum -c` reads, of all files of a folder but the one for them."""
    names = sorted(path.name for path in folder.iterdir() if path.name != SUMS)
    return "".join(f"{sha256(folder / name)}  {name}\n" for name in names)
