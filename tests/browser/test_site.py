"""The built site in a browser: it is readable, and its search finds the answers."""

import pytest

VIEWS = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]
PAGES = ("", "start/", "guides/at_recall/", "metrics/", "reference/errors/")
# A reader's own words, and the page that answers them.
QUESTIONS = {
    "which metric to monitor for 1% positives": "guides/monitor/",
    "how to keep the best at recall ≥ .9": "guides/at_recall/",
    "why F1 differs from Keras's": "guides/keras_f1/",
    "how to resume": "guides/resume/",
    "how to load under torch": "guides/another_backend/",
    "what ignore_index does": "guides/ignore_index/",
    "how to leave the background out": "guides/background/",
    "what lies on the disk": "guides/disk/",
    "how to get a plain .keras": "guides/plain_keras/",
    "how sure a number is": "intervals/",
    # And what else people ask for.
    "precision at recall": "guides/at_recall/",
    "UnusableValuesWarning": "reference/errors/",
    "write my own metric": "guides/own_metric/",
    "two phases of fine-tuning": "guides/fine_tuning/",
    "S3": "guides/s3/",
    "KerasTuner": "guides/kerastuner/",
    "TensorBoard": "guides/tensorboard/",
    "MLflow": "guides/mlflow/",
    "wandb": "guides/wandb/",
    "Lightning": "guides/lightning/",
    "several processes": "guides/several_processes/",
    "padding": "guides/sequences/",
    "middle of an epoch": "guides/mid_epoch/",
    "report": "guides/look/",
    "GAN": "guides/several_models/",
    "cross-validation folds": "guides/folds/",
    "install": "install/",
}


@pytest.mark.parametrize("view", VIEWS, ids="{0[0]}-{0[1]}".format)
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.strip("/") or "home")
def test_a_page_is_readable_on_a_desk_and_on_a_telephone(
    site, open_page, fits, path, view
):
    page = open_page(f"{site}/{path}", *view)
    fits(page)
    ink, paper = page.evaluate(
        "[getComputedStyle(document.querySelector('article p')).color,"
        " getComputedStyle(document.body).backgroundColor]"
    )
    light = luminance(paper) > 0.5
    assert light == (view[1] == "light")
    assert contrast(ink, paper) >= 4.5  # As WCAG wants of body text.


@pytest.fixture(scope="module")
def answers(site, browser):
    """Return the paths of the first three results for each question."""
    page = browser.new_page()
    page.goto(site)
    found = {}
    for question in QUESTIONS:
        page.goto(f"{site}/?q={question}")
        page.locator(".md-search-result__item a").first.wait_for(state="attached")
        links = page.locator(".md-search-result__item > a").evaluate_all(
            "links => links.map(link => link.pathname)"
        )
        found[question] = links[:3]
    page.close()
    return found


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_search_gives_the_answer_among_its_first_three(answers, question):
    assert f"/{QUESTIONS[question]}" in answers[question]


def luminance(colour):
    """Return the relative luminance of "rgb(...)", as WCAG defines it."""
    numbers = colour.partition("(")[2].rstrip(")").split(",")[:3]
    parts = [float(number) / 255 for number in numbers]
    linear = [
        p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """Return the contrast ratio of two colours."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_contrast_is_that_of_wcag():
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", "rgb(255, 255, 255)") == pytest.approx(
        4.48, abs=0.01
    )
