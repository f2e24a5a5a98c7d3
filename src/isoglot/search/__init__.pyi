from .index.building import build_index as build_index
from .index.protocol import Index as Index
from .searcher import Searcher as Searcher
from .stores.named import register_store as register_store
