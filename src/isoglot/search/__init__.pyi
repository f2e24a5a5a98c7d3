from .index.building import build_index as build_index
from .index.protocol import Index as Index
from .measured import passage_documents as passage_documents
from .measured import score_index as score_index
from .searcher import Searcher as Searcher
from .stores.named import register_store as register_store
