"""Reports of studies in words, tables and figures: the effect of training on each setting, language and family."""

from __future__ import annotations

from isoglot.studies.report.files import write_report as write_report
from isoglot.studies.report.markdown import headline_rows as headline_rows
from isoglot.studies.report.markdown import render_markdown as render_markdown
from isoglot.studies.report.markdown import summary as summary
from isoglot.studies.report.markdown import table as table
from isoglot.studies.report.study_facts import StudyReport as StudyReport
from isoglot.studies.report.terminal import render_evaluation as render_evaluation
