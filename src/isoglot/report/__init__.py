"""A study in words, tables and pictures: what training did to each setting, and to each language and family."""

from __future__ import annotations

from isoglot.report.facts import StudyReport as StudyReport
from isoglot.report.markdown import headline_rows as headline_rows
from isoglot.report.markdown import render_markdown as render_markdown
from isoglot.report.markdown import summary as summary
from isoglot.report.markdown import table as table
from isoglot.report.terminal import render_evaluation as render_evaluation
from isoglot.report.writing import write_report as write_report
