from .document import Document as Document
from .finding import find_sources as find_sources
from .page import Page as Page
from .reading import read_documents as read_documents
from .reading import read_files as read_files
from .sections import Section as Section
from .sections import sections as sections
