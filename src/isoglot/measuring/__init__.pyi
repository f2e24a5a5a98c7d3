from .comparing import Comparison as Comparison
from .comparing import compare as compare
from .comparing import stacked as stacked
from .evaluating import evaluate as evaluate
from .evaluation import Evaluation as Evaluation
from .evaluation import load_evaluation as load_evaluation
