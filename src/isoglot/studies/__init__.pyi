from .atlas_study import quickstart as quickstart
from .run import study as study
from .settings import StudySettings as StudySettings
