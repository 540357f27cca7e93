"""The example in docs/training.md runs and learns; its links lead somewhere."""
import re
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "training.md"


def test_own_model_example(capsys):
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[-1]
    names = {}
    exec(code, names)
    assert names["history"][-1]["accuracy"] > 0.5
    assert "macro average" in capsys.readouterr().out


def test_links_lead_to_files():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / target).exists(), target
