from isoglot.core.problems import Problems


def test_names_and_messages_cannot_steer_a_terminal(tmp_path):
    problems = Problems()
    problems.add(tmp_path / "a\x1b[31m\nb.txt", 3, "no text\x07 ß 東")
    assert problems.shown == [f"{tmp_path}/a\\x1b[31m\\nb.txt:3: no text\\x07 ß 東"]


def test_what_is_lost_is_shown_before_notes_on_what_was_read():
    problems = Problems()
    for number in range(30):
        problems.warn(f"{number}.txt", None, "not UTF-8; read as cp1251, which is a guess")
    problems.add("scan.pdf", None, "no text")
    assert problems.shown[0] == "scan.pdf: no text"
    assert len(problems.shown) == 20
    assert (problems.count, problems.warned, problems.unshown) == (1, 30, 11)
    assert problems.summary() == "not UTF-8 30; no text 1"


def test_kinds_of_problems_leave_a_mark_where_names_differ():
    problems = Problems()
    for lang in ("en", "fr"):
        problems.warn("a.html", None, f"declares the language {lang!r}, but is in 'de', which is used (by its text)")
    assert problems.summary() == "declares the language …, but is in …, which is used 2"
