"""`mmicl browse` over real built samples, asked by real HTTP requests."""

import html
import http.client
import io
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from browse_data import CROP, HOSTILE, fill, open_filled
from PIL import Image

from mmicl.browse import Choice, View, make_server, parse_choice, write_alone
from mmicl.browse.page import write_page
from mmicl.browse.samples import SampleTables
from mmicl.errors import BusyError, DataError, UserError
from mmicl.paths import Paths
from mmicl.records import PLACEHOLDER

Ask = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return fill(tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def view(paths: Paths) -> View:
    return open_filled(paths)


@pytest.fixture(scope="module")
def port(view: View) -> Iterator[int]:
    with make_server(view, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(port: int) -> Ask:
    """Send one GET; the path goes out as it is."""

    def get(path: str, host: str = "") -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{port}")
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), body

    return get


def count(page: str) -> int:
    found = re.search(r'id="count">(\d+) samples', page)
    assert found, page[:300]
    return int(found[1])


@pytest.mark.parametrize(
    ("query", "samples"),
    [
        ("", 100),
        ("part=finetune", 40),
        ("dataset=coco", 60),
        ("task=vqa", 40),
        ("split=val", 0),
        ("images=1", 60),
        ("dataset=coco&images=2", 0),
        ("dataset=vqav2&text=vqav2/train/007", 1),
    ],
)
def test_filters(ask: Ask, query: str, samples: int) -> None:
    status, _, body = ask(f"/?{query}")
    assert status == 200
    assert count(body.decode()) == samples


@pytest.mark.parametrize("text", ["THING 00", "alert(", "</script>", ".*", "vqav2/train/007"])
def test_text_is_found_in_any_case_and_taken_literally(ask: Ask, paths: Paths, text: str) -> None:
    rows = [
        row
        for part in ("pretrain", "finetune")
        for row in pq.read_table(paths.mic / f"{part}.parquet").to_pylist()
    ]
    columns = ("id", "source", "prompt", "target")
    wanted = sum(any(text.lower() in row[name].lower() for name in columns) for row in rows)
    assert count(ask(f"/?text={quote(text)}")[2].decode()) == wanted
    assert (wanted > 0) == (text != ".*")


def test_pages_hold_every_sample_once(ask: Ask) -> None:
    seen: list[str] = []
    for page in range(1, 6):
        text = ask(f"/?page={page}")[2].decode()
        seen += re.findall(r"<h2>([^<]+)</h2>", text)
        assert (f"page={page + 1}" in text) == (page < 5)
    assert len(seen) == len(set(seen)) == 100
    assert "page 5 of 5" in ask("/?page=99")[2].decode()


def test_the_prompt_shows_its_pictures_in_place_and_where_all_is_from(view: View, ask: Ask) -> None:
    _, (row, *_) = view.samples.find(parse_choice({"dataset": "vqav2", "text": "thing"}), 40)
    text = ask(f"/?dataset=vqav2&text={row['id']}")[2].decode()
    article = text[text.index(f"<h2>{row['id']}</h2>") :]
    pictures = re.findall(r'<img src="/picture/([^"]+)"', article.partition("</article>")[0])
    assert pictures == row["images"]
    prompt = re.search(r'class="prompt">(.*?)</p>', article, re.DOTALL)
    assert prompt
    plain = html.unescape(re.sub(r'<span class="chip">.*?</span>', PLACEHOLDER, prompt[1]))
    assert plain == row["prompt"]
    assert f'<span class="target">{row["target"]}</span>' in article
    template = view.templates[row["template"]]
    assert html.escape(template.text) in article
    assert f"origin {template.origin}" in article
    assert all(f"<code>{exemplar}</code>" in article for exemplar in row["exemplars"])


def test_pictures_come_by_reference_with_their_crop(view: View, ask: Ask) -> None:
    reference = next(
        one
        for row in view.samples.find(Choice(dataset="vqav2"), 1)[1]
        for one in row["images"]
        if "@" in one
    )
    status, headers, body = ask(f"/picture/{reference}")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(body)).size == (20, 20)
    whole = Image.open(io.BytesIO(ask(f"/whole/{reference}")[2])).convert("RGB")
    assert whole.size == (40, 30)
    red, green, _ = whole.getpixel((CROP.left, CROP.top + 9))  # pyright: ignore
    assert red > 150 > green
    assert ask("/picture/blank")[0] == 200


def test_texts_of_the_data_and_of_the_request_are_escaped(ask: Ask, view: View) -> None:
    for page in (
        ask("/?text=%3Cscript%3E")[2].decode(),
        write_alone(view, Choice(text="alert(")),
        ask('/?text="><img src=x>'.replace(" ", "%20"))[2].decode(),
    ):
        assert "<script" not in page
        assert "<img src=x" not in page
    assert html.escape(HOSTILE) in write_alone(view, Choice(text="alert("))


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/picture/../../../etc/passwd",
        "/picture/%2e%2e%2fetc%2fpasswd",
        "/picture/" + "0" * 64,
        "/picture/" + "0" * 63,
        "/whole//etc/passwd",
        "//etc/passwd",
        "/index.html",
    ],
)
def test_no_path_of_a_request_reaches_a_file(ask: Ask, path: str) -> None:
    status, _, body = ask(path)
    assert status == 404
    assert b"root:" not in body


def test_a_crop_that_is_not_within_its_picture_is_refused(ask: Ask, view: View) -> None:
    key = view.samples.find(Choice(), 1)[1][0]["images"][0]
    assert ask(f"/picture/{key}@0,0,9999,9999")[0] == 404
    assert ask(f"/whole/{key}@5,5,5,5")[0] == 404


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("folder=/etc", "folder: no such filter"),
        ("images=two", "images: not a number"),
        ("page=-1", "page: not a number"),
        ("text=" + "x" * 201, "text: more than 200 signs"),
        ("&".join(f"text={n}" for n in range(20)), "more than 10 fields"),
    ],
)
def test_a_wrong_filter_is_one_line(ask: Ask, query: str, message: str) -> None:
    status, headers, body = ask(f"/?{query}")
    assert status == 400
    assert headers["Content-Type"].startswith("text/plain")
    assert message in body.decode()
    assert body.count(b"\n") == 1


def test_it_answers_on_loopback_alone_and_loads_nothing_from_elsewhere(ask: Ask, port: int) -> None:
    assert ask("/", host=f"evil.example:{port}")[0] == 403
    assert ask("/", host=f"localhost:{port}")[0] == 200
    _, headers, body = ask("/")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert not re.search(rb"(src|href|action)=\"(?!/)", body)
    assert b"http" not in body


def test_the_port_may_be_taken(view: View) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BusyError, match=f"127.0.0.1:{port}.*choose another --port"):
            make_server(view, port)
    with pytest.raises(UserError, match="not a port"):
        make_server(view, 70_000)


def test_one_page_alone_needs_no_server(view: View) -> None:
    page = write_alone(view, Choice(dataset="vqav2"))
    assert page.count('src="data:image/jpeg;base64,') == page.count("<img ") >= 40
    assert "href" not in page
    assert page == write_alone(view, Choice(dataset="vqav2"))


def test_what_is_not_on_disk_is_named(paths: Paths, view: View, tmp_path: Path) -> None:
    bare = View("bare", view.samples, type(view.images)([]), {})
    page = write_page(bare, Choice())
    assert "is not on disk" in page
    assert "not in the bank that lies here" in page
    with pytest.raises(DataError, match="no samples; run the stage build"):
        SampleTables(tmp_path)
    (tmp_path / "val.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match="not a table of samples"):
        SampleTables(tmp_path)


def test_a_page_may_lie_across_pieces_of_a_table(paths: Paths, tmp_path: Path) -> None:
    rows = pq.read_table(paths.mic / "finetune.parquet")
    with pq.ParquetWriter(tmp_path / "finetune.parquet", rows.schema) as writer:
        for start in range(0, 40, 8):
            writer.write_table(rows.slice(start, 8))
    tables = SampleTables(tmp_path)
    total, found = tables.find(Choice(text="thing", page=2), 7)
    assert total == 40
    assert [row["id"] for row in found] == rows.column("id").to_pylist()[7:14]
    assert sum(tables.facets["images"].values()) == 40
