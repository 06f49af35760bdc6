"""A description of an image folder in Croissant 1.0, the JSON-LD vocabulary of MLCommons for data
sets (Akhtar et al., 2024, https://arxiv.org/abs/2403.19546)."""

from typing import Any

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
# The vocabulary's terms that stand in a description, as its specification maps them.
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        term: f"cr:{term}"
        for term in (
            *("citeAs", "column", "equivalentProperty", "extract", "field", "fileObject"),
            *("fileProperty", "fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key"),
            *("md5", "parentField", "path", "recordSet", "references", "regex", "repeated"),
            *("replace", "samplingRate", "separator", "source", "subField", "transform"),
        )
    },
}


def croissant(
    *, name: str, description: str, version: str, metadata: str, digest: str, labeled: bool
) -> dict[str, Any]:
    """Return the description, as JSON holds it, of a folder with PNG files (in a folder per class
    if ``labeled``) and a JSON lines file ``metadata`` of sha256 ``digest``. It names no license and
    no author: the owner adds those."""
    fields = [_field("image", "sc:ImageObject", {"fileProperty": "content"})]
    fields += [_field("file_name", "sc:Text", {"fileProperty": "fullpath"})]
    if labeled:
        of_path = {"transform": {"regex": "([^/]+)/[^/]+$"}}
        fields += [_field("label", "sc:Text", {"fileProperty": "fullpath"}, of_path)]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": name,
        "description": description,
        "version": version,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": metadata,
                "name": metadata,
                "contentUrl": metadata,
                "encodingFormat": "application/jsonlines",
                "sha256": digest,
            },
            {
                "@type": "cr:FileSet",
                "@id": "files",
                "name": "files",
                "encodingFormat": "image/png",
                "includes": "*/*.png" if labeled else "*.png",
            },
        ],
        "recordSet": [
            {"@type": "cr:RecordSet", "@id": "images", "name": "images", "field": fields}
        ],
    }


def _field(
    name: str, kind: str, extract: dict[str, str], more: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A field of the records, read from the files."""
    source = {"fileSet": {"@id": "files"}, "extract": extract, **(more or {})}
    return {
        "@type": "cr:Field",
        "@id": f"images/{name}",
        "name": name,
        "dataType": kind,
        "source": source,
    }
