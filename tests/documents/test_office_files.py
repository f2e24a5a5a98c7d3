"""Files that pandoc, LibreOffice and Chromium made of texts written for these tests, see files/README.md."""

import struct
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from isoglot.core.problems import Problems
from isoglot.documents import read_files
from isoglot.documents.pdf import readable

FILES = Path(__file__).parent / "files"
SENTENCES = (
    "Die Bibliothek am Fluss öffnet täglich außer montags.",
    "日本語の案内: 図書館は月曜日に休館します。",
    "المكتبة مفتوحة كل يوم.",
    "Öffnungszeiten",
    "9 bis 18 Uhr",
    "Zeitungen lesen",
)
NAMES = (
    *("pandoc.docx", "pandoc.odt", "pandoc.epub", "pandoc.pptx", "pandoc.rtf", "pandoc.rst", "pandoc.docbook.xml"),
    *("pandoc.tei.xml", "libreoffice.docx", "libreoffice.rtf", "libreoffice.odp", "libreoffice.epub"),
)


def read(*paths):
    problems = Problems()
    return list(read_files(list(paths), problems)), problems


@pytest.mark.parametrize("name", NAMES)
def test_documents_of_word_processors_and_publishers(name):
    (document,), problems = read(FILES / name)
    lines = document.text.split("\n\n")
    for sentence in SENTENCES:
        assert any(line.startswith(sentence) for line in lines), sentence
    assert not problems.shown
    assert document.lang in ("de", None)
    assert document.title == ("Die Bibliothek" if name not in ("pandoc.rtf", "libreoffice.odp") else name.split(".")[0])
    # striprtf drops footnotes, and LibreOffice's EPUB has them in its own way.
    if not name.endswith("rtf"):
        assert "Im August nur vormittags." in document.text


def test_headings_are_known_as_such():
    def headings(name):
        (document,), _ = read(FILES / name)
        return [(block.level, block.text) for block in document.blocks if block.level]

    for name in ("pandoc.docx", "libreoffice.docx", "pandoc.odt"):
        assert headings(name)[-1] == (2, "Öffnungszeiten")
    assert [text for _, text in headings("pandoc.pptx")] == ["Die Bibliothek", "Die Bibliothek", "Notes"]


@pytest.mark.parametrize("name", ["chromium.pdf", "libreoffice.pdf"])
def test_right_to_left_and_ideographs_of_pdfs(name):
    (document,), _ = read(FILES / name)
    lines = document.text.split("\n")
    assert "図書館は月曜日に休館します。本を借りることができます。" in lines
    assert "הספרייה פתוחה כל יום חוץ מיום שני." in lines
    # PDFium sees no blank where Chromium draws a narrow one.
    arabic = next(line for line in lines if line.startswith("المكتبة"))
    assert arabic.replace(" ", "") == "المكتبةمفتوحةكليومماعدايومالاثنين."
    assert document.title == "Zwei Seiten"


def test_columns_of_pdfs_come_one_after_the_other():
    (document,), _ = read(FILES / "columns.pdf")
    first, last = document.text.rindex("Der erste Absatz"), document.text.index("Der letzte Absatz")
    assert first < last
    assert document.text.count("Schlick liegen bleiben.") == 4
    assert document.lang is None  # LibreOffice declares its own language


def test_forms_of_letters_in_pdfs_become_letters():
    assert readable("ﻣﻜﺘﺒﺔ ⼀⽇ ﬁn ｶﾞ Zeilen\ufffe\r\numbruch x²") == "مكتبة 一日 fin ガ Zeilenumbruch x²"


def test_what_was_lost_in_pdfs_of_other_programs():
    (document,), told = read(FILES / "notes.pdf")
    assert not told.shown
    assert "يوم الاثنين، والسلام" in document.text  # lam-alef, for which the font has one sign
    assert "保持安静,不要大声说话。" in document.text  # a line that ended between two ideographs
    assert document.text.startswith("Lam und Alef\n")


@pytest.mark.parametrize("name", ["notes.rtf", "notes-libreoffice.rtf", "notes.docx", "notes.jats.xml"])
def test_notes_are_read(name):
    (document,), told = read(FILES / name)
    assert not told.shown
    assert document.text.count("Steht unten.") == 1
    assert document.text.endswith("Steht unten.")
    formula = "" if name == "notes-libreoffice.rtf" else "mc2"  # there it is a picture
    assert f"DieFußnote.E={formula}" in "".join(document.text.split())


def test_files_that_break_off_or_are_locked_say_so(tmp_path):
    whole = (FILES / "notes.rtf").read_bytes()
    (tmp_path / "a.rtf").write_bytes(whole[: whole.index(b"unten")])
    compound = bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 504 + "EncryptedPackage".encode("utf-16-le")
    (tmp_path / "b.docx").write_bytes(compound)
    locked = {
        "c.odt": ("pandoc.odt", "META-INF/manifest.xml", b"<manifest><encryption-data/></manifest>"),
        "d.epub": ("pandoc.epub", "META-INF/encryption.xml", b"<enc:CipherReference URI='EPUB/text/ch001.xhtml'/>"),
    }
    for name, (source, member, content) in locked.items():
        with zipfile.ZipFile(FILES / source) as old, zipfile.ZipFile(tmp_path / name, "w") as new:
            for held in set(old.namelist()) - {member}:
                new.writestr(held, b"\x8a\x01\xff" if held.endswith((".xhtml", "content.xml")) else old.read(held))
            new.writestr(member, content)
    documents, told = read(tmp_path)
    assert [document.text.split()[-1] for document in documents] == ["Steht"]
    assert [line.partition(": ")[2].rpartition(": ")[2] for line in told.shown] == [
        "it needs a password, or is in the format before 2007; save it again, without a password",
        "it needs a password, or is protected; save it without",
        "it needs a password, or is protected; save it without",
        "the file is truncated; the text before that point was read",
    ]


def test_docbook_under_its_own_ending_and_the_way_out_of_entities(tmp_path):
    whole = (FILES / "pandoc.docbook.xml").read_bytes()
    (tmp_path / "a.docbook").write_bytes(whole)
    (tmp_path / "b.docbook").write_text('<!DOCTYPE book [<!ENTITY name "Kalender">]><book><title>&name;</title></book>')
    (document,), told = read(tmp_path)
    assert document.text == read(FILES / "pandoc.docbook.xml")[0][0].text
    assert [line.partition(": ")[2].partition(" (")[0] for line in told.shown] == [
        "not a readable XML file: it defines entities, possibly a bomb, so it was not read; expand them first, as by "
        "`xmllint --noent --dropdtd`"
    ]


def test_fonts_of_a_book_may_be_encrypted(tmp_path):
    with zipfile.ZipFile(FILES / "pandoc.epub") as old, zipfile.ZipFile(tmp_path / "a.epub", "w") as new:
        for held in old.namelist():
            new.writestr(held, old.read(held))
        new.writestr("META-INF/encryption.xml", b"<CipherReference URI='fonts/a.otf'/>")
    ((document,), told) = read(tmp_path)
    assert (bool(document.text), told.shown) == (True, [])


def test_named_characters_of_a_document_type_are_read(tmp_path):
    start = '<!DOCTYPE article PUBLIC "-//OASIS//DTD DocBook XML V4.5//EN" "docbookx.dtd"><article lang="fr">'
    text = f"{start}<title>T</title><para>Déjà&nbsp;vu &mdash; &lt;a&gt;</para></article>"
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    ((document,), told) = read(tmp_path)
    assert (document.title, document.text, document.lang, told.shown) == ("T", "Déjà\xa0vu — <a>", "fr", [])
    (tmp_path / "a.xml").write_text(text.replace("mdash", "strange"), encoding="utf-8")
    assert "undefined entity &strange;" in read(tmp_path)[1].shown[0]


def test_what_a_journal_says_of_a_reply_is_not_read(tmp_path):
    reply = "<response><front-stub><article-id>10.1</article-id></front-stub><body><p>Antwort.</p></body></response>"
    text = f'<article xml:lang="de"><front/><body><p>Frage.</p></body>{reply}</article>'
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    ((document,), _) = read(tmp_path)
    assert document.text.split() == ["Frage.", "Antwort."]


def bomb(path, member="word/document.xml"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, b" " * 30_000_000)


LAUGHS = (
    '<!DOCTYPE article [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><article><title>&b;</title><para>x</para></article>'
)


def test_bombs_and_strangers_are_passed_over_and_named(tmp_path):
    for ending in ("docx", "pptx", "odt", "epub"):
        bomb(tmp_path / f"bomb.{ending}")
        (tmp_path / f"text.{ending}").write_text("no zip file", encoding="utf-8")
        with zipfile.ZipFile(tmp_path / f"empty.{ending}", "w"):
            pass
    (tmp_path / "laughs.xml").write_text(LAUGHS, encoding="utf-8")
    (tmp_path / "file.xml").write_text(
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><article>&x;</article>', encoding="utf-8"
    )
    (tmp_path / "other.xml").write_text("<feed><title>x</title></feed>", encoding="utf-8")
    (tmp_path / "broken.xml").write_text("<article><para>", encoding="utf-8")
    (tmp_path / "no.rtf").write_text("plain", encoding="utf-8")
    (tmp_path / "x.exe").write_bytes(b"MZ")
    (tmp_path / "y.tar.gz").write_bytes(b"")
    documents, problems = read(tmp_path)
    assert not documents
    told = "\n".join(problems.shown)
    assert problems.count == 18
    for words in (
        "2 files of other kinds were not read: .exe 1, .gz 1",
        "bomb.docx: not a readable Word file: it unpacks from",
        "text.docx: not a readable Word file: broken, or another kind of file (File is not a zip file)",
        "empty.epub: not a readable EPUB: broken",
        "laughs.xml: not a readable XML file: it defines entities",
        "file.xml: not a readable XML file: it defines entities",
        "other.xml: XML that is neither DocBook nor TEI nor JATS (its root is <feed>)",
        "broken.xml: not a readable XML file: not well-formed XML",
        "no.rtf: not a readable RTF file: it does not begin with",
    ):
        assert words in told


def lying(path, size):
    """An EPUB with a file of 1 MB that states another size, with the checksum of its beginning."""
    whole = b"<p>" + b"a" * 1_000_000
    book = {"META-INF/container.xml": '<a><rootfile full-path="p"/></a>', "p": '<a><item id="a" href="a"/></a>'}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**book, "a": whole}.items():
            archive.writestr(name, content)
        true = archive.getinfo("a")
    stated = struct.pack("<LLL", zlib.crc32(whole[:size]), true.compress_size, size)
    content = path.read_bytes().replace(struct.pack("<LLL", true.CRC, true.compress_size, len(whole)), stated)
    path.write_bytes(content)


def test_what_is_longer_than_stated_is_not_unpacked(tmp_path):
    for size in (0, 1000, 999_999):
        lying(tmp_path / "a.epub", size)
        documents, problems = read(tmp_path / "a.epub")
        assert not documents
        assert "a.epub: not a readable EPUB: " in problems.shown[0]
        assert "is longer than stated" in problems.shown[0] or "Bad CRC-32" in problems.shown[0]


def small_book(path, spine, **more):
    files = {
        "META-INF/container.xml": '<a><rootfile full-path="p"/></a>',
        "p": f'<a><item id="a" href="a"/><item id="b" href="./a"/>{spine}</a>',
        "a": "<p>Der Mond.</p>",
        **more,
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_part_of_a_book_is_read_once_however_often_it_is_named(tmp_path):
    (document,), _ = read(small_book(tmp_path / "a.epub", '<itemref idref="a"/><itemref idref="b"/>' * 100))
    assert document.text == "Der Mond."


def test_a_small_file_does_not_take_forever(tmp_path):
    encryption = {"META-INF/encryption.xml": "cipherreference " * 200_000 + '<enc:CipherReference URI="font.otf"/>'}
    book = small_book(tmp_path / "a.epub", '<itemref idref="a"/>', **encryption)
    assert book.stat().st_size < 20_000
    (tmp_path / "deep.xml").write_text("<article>" + "<para>a" * 20_000 + "</para>" * 20_000 + "</article>")
    (document,), problems = read(book, tmp_path / "deep.xml")
    assert document.text == "Der Mond."
    assert problems.shown == [
        f"{tmp_path / 'deep.xml'}: not a readable XML file: its elements are nested more than 256 deep"
    ]
    locked = {"META-INF/encryption.xml": "<a><enc:CipherReference URI='a.xhtml'/></a>"}
    _, problems = read(small_book(tmp_path / "locked.epub", "", **locked))
    assert "it needs a password, or is protected" in problems.shown[0]


def test_a_missing_package_passes_its_files_over(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "docx", None)
    documents, problems = read(FILES / "pandoc.docx", FILES / "pandoc.odt")
    assert [document.id for document in documents] == ["pandoc.odt"]
    assert "pandoc.docx: Word files need python-docx: pip install 'isoglot[documents]'" in problems.shown[0]
