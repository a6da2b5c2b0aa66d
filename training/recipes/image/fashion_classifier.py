"""fashion-classifier: tells the ten kinds of Fashion-MNIST apart; it judges, and isn't served."""

from dataclasses import asdict

from models.checkpoint.header import Header
from training.data.images.fashion import ABOUT, LABELS, LICENCE, load_fashion
from training.learners.classifier import ClassifierObjective, ClassifierSettings, measure_accuracy
from training.learners.standard import StandardLearner
from training.publish import JUDGES
from training.recipe import Recipe

STEPS = 6_500
SETTINGS = ClassifierSettings(steps=STEPS)

CARD = Header(
    family="classifier",
    net={"channels": 1, "classes": 10, "widths": [32, 64, 128, 128]},
    title="Fashion (classifier)",
    description="Tells T-shirts, trousers, pullovers, dresses, coats, sandals, shirts, sneakers, "
    "bags and ankle boots apart, in grey on black, 28x28.",
    limitations="Shirts are the hardest: many pass for T-shirts, pullovers or coats, to the eye as "
    "well. It names one of the ten whatever it is shown, so that a blot is a bag. Grey on black "
    "only.",
    labels=list(LABELS),
    data=ABOUT,
    data_licence=LICENCE,
    licence="MIT",
)

RECIPE = Recipe(
    id="fashion-classifier",
    folder=JUDGES,
    data=load_fashion,
    learner=lambda card, device: StandardLearner(ClassifierObjective(card, SETTINGS, device)),
    measure=measure_accuracy,
    card=CARD,
    settings=asdict(SETTINGS),
    steps=STEPS,
    batch=128,
)
