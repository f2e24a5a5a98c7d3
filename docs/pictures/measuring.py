"""Draw measuring.svg, the worked example of docs/measuring.md: python docs/pictures/measuring.py ."""

from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

RANKING = ["de", "de", "en", "de", "th", "en", "de", "th", "en", "th", "de", "th"]
RELEVANT = {1: "de", 3: "en", 10: "th"}
COLOURS = {"de": "#0072b2", "en": "#e69f00", "th": "#009e73"}


def main() -> None:
    """Write the picture beside this program."""
    mpl.rcParams.update({"svg.hashsalt": "isoglot", "svg.fonttype": "none", "font.size": 9})
    figure, axes = plt.subplots(figsize=(7, 1.9))
    for rank, lang in enumerate(RANKING, 1):
        axes.bar(rank, 1, width=0.86, color=COLOURS[lang], alpha=1 if rank in RELEVANT else 0.25)
        axes.text(rank, 0.5, lang, ha="center", va="center", color="white" if rank in RELEVANT else "#333333")
    first, last = min(RELEVANT), max(RELEVANT)
    axes.annotate("", (first, 1.25), (last, 1.25), arrowprops={"arrowstyle": "<->", "color": "#333333"})
    axes.text((first + last) / 2, 1.32, f"rank distance {last - first}", ha="center", va="bottom")
    axes.set(xlim=(0.4, 12.6), ylim=(0, 1.75), xticks=range(1, 13), yticks=[], xlabel="rank in the pool")
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(Path(__file__).with_suffix(".svg"), metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
