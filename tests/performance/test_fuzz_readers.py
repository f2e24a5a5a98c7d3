import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from isoglot.documents.kinds import kinds


def test_damaged_files_end_in_documents_and_named_problems():
    path = Path(__file__).parents[2] / "performance" / "fuzz_readers.py"
    spec = spec_from_file_location("fuzz_readers", path)
    fuzz_readers = sys.modules["fuzz_readers"] = module_from_spec(spec)
    spec.loader.exec_module(fuzz_readers)
    seen, crashes = fuzz_readers.fuzz(len(kinds()) * 15, seed=1)
    assert not crashes
    assert seen.total() == len(kinds()) * 15
    # Some damage is slight: most kinds still give documents, and every kind passes some files over.
    assert len([what for what in seen if what.endswith(" read")]) > 0.7 * len(kinds())
    assert len([what for what in seen if what.endswith(" passed over")]) > 0.7 * len(kinds())
