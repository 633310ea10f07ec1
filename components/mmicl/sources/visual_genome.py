"""Visual Genome region descriptions: a phrase about a part of a picture, shown as a crop.

Official `region_descriptions.json`, pictures with their regions (box in pixels), and the pictures
in `VG_100K/` and `VG_100K_2/`. All are train: Visual Genome has no splits.
"""

from collections.abc import Iterator

from mmicl.records import Example, crop_reference
from mmicl.sources.boxes import cut_box
from mmicl.sources.json_tables import NO_OBJECT
from mmicl.sources.official import Official, Record, RecordError, Text, write_plainly
from mmicl.sources.reader import Page, Reader
from mmicl.sources.reading import ReadContext

FILE = "region_descriptions.json"
FOLDERS = ("VG_100K/", "VG_100K_2/", "images/")


class Region(Official):
    """An entry of `regions`; the box's corner may lie outside of the picture."""

    region_id: int
    image_id: int
    phrase: Text
    x: int
    y: int
    width: int
    height: int


def find_regions(context: ReadContext) -> Iterator[Record]:
    """Every region of every picture."""
    path = context.find(FILE)
    if path is None:
        return
    for record in context.read_records(path, "train", "id"):
        regions = record.value.get("regions") if isinstance(record.value, dict) else None
        if not isinstance(regions, list):
            error = RecordError("malformed", "no list of regions")
            failed = isinstance(record.value, RecordError)
            yield Record("train", record.id, record.file, record.value if failed else error)
            continue
        for number, region in enumerate(regions, start=1):
            found = isinstance(region, dict)
            own = str(region.get("region_id", number)) if found else str(number)
            value = region if found else RecordError("malformed", NO_OBJECT)
            yield Record("train", f"{record.id}-{write_plainly(own)}", record.file, value)


def convert_region(record: Record, context: ReadContext) -> Iterator[Example]:
    """The crop of one region with its phrase."""
    region = Region.model_validate(record.value)
    whole = context.image(*(f"{folder}{region.image_id}.jpg" for folder in FOLDERS))
    right, bottom = region.x + region.width, region.y + region.height
    box = cut_box(region.x, region.y, right, bottom, context.size(whole))
    yield context.example(
        record.split, record.id, task="caption", images=(crop_reference(whole, box),),
        question="", answers=(region.phrase,), target=region.phrase,
        group=f"vg-{region.image_id}", meta={"region_id": region.region_id},
    )  # fmt: skip


VISUAL_GENOME = Reader(
    name="visual_genome",
    task="caption",
    files=(FILE, "VG_100K/*.jpg", "VG_100K_2/*.jpg"),
    licence="CC BY 4.0; pictures under their Flickr terms",
    find=find_regions,
    convert=convert_region,
    page=Page(
        title="Visual Genome, region descriptions",
        category="image captioning",
        use="stage I",
        url="https://homes.cs.washington.edu/~ranjay/visualgenome/api.html",
        records="5,408,689 regions of 108,077 pictures",
        makes="the crop of a region and its phrase",
    ),
    roles={"regions": FILE, "images": "VG_100K/"},
)
