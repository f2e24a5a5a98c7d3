from .run import train as train
from .sampling.sampler import HybridBatchSampler as HybridBatchSampler
from .settings import TrainSettings as TrainSettings
