from isoglot.core.problems import Problems


def test_names_and_messages_cannot_steer_a_terminal(tmp_path):
    problems = Problems()
    problems.add(tmp_path / "a\x1b[31m\nb.txt", 3, "no text\x07 ß 東")
    assert problems.shown == [f"{tmp_path}/a\\x1b[31m\\nb.txt:3: no text\\x07 ß 東"]
