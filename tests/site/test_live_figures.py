"""The live figures in a browser: they agree with Keras; mouse, finger and keyboard; from disk."""

from __future__ import annotations

import dataclasses
import gzip
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
from pages import windows
from playwright.sync_api import Browser, Page, expect

import rebuild
from vae_lib import VAE, AnomalyDetector, Stream, data, live, records, scores, thresholds

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
UNIT = {"x": 0, "y": 0, "width": 1, "height": 1}  # a box for places in shares of a side
PALM = (0.8, 0.8)  # of a hand that holds the phone
LARGEST = 500_000  # bytes, compressed: the whole demo
TOLERANCE = 1e-4


def assert_quiet(page: Page) -> None:
    """Nothing was asked of another host, and no script complained."""
    own = [problem for problem in page.problems if "willReadFrequently" in problem]
    assert page.foreign + page.problems == own  # these tests read many a canvas


@pytest.fixture
def visit(visit: Callable[..., Page]) -> Iterator[Callable[..., Page]]:
    """Open a page in a new window, which in the end is quiet."""
    pages = []

    def go(*args: object, **options: object) -> Page:
        pages.append(visit(*args, **options))
        return pages[-1]

    yield go
    for page in pages:
        assert_quiet(page)


@pytest.fixture(scope="module")
def shared(browser: Browser) -> Iterator[dict[str, Page]]:
    """A window on a desk and one on a phone, which most tests load the page anew in."""
    with windows(browser) as open_page:
        blank = {"url": "about:blank", "awake": False}
        yield {"desk": open_page(**blank), "phone": open_page(**blank, **PHONE)}


@pytest.fixture
def page(
    request: pytest.FixtureRequest, shared: dict[str, Page], site: Path, address: str
) -> Iterator[Page]:
    """The page "Try it", from disk unless the test asks for others."""
    kind = getattr(request, "param", "file")
    page = shared["phone" if kind == "phone" else "desk"]
    page.foreign.clear()
    page.problems.clear()
    page.mouse.move(0, 0)
    page.goto(f"{address if kind == 'http' else site.as_uri()}/chapters/try_it.html")
    page.keyboard.press("Shift")  # the first key starts all live figures
    yield page
    assert_quiet(page)


over_http_and_from_disk = pytest.mark.parametrize("page", ["http", "file"], indirect=True)
on_a_phone = pytest.mark.parametrize("page", ["phone"], indirect=True)


def figure(page, name: str):
    """A live figure; locators see through its shadow root."""
    return page.locator(f'[data-vae-live="{name}"]')


def cleared(page):
    """The figure "score" with nothing drawn, and its slate."""
    score = figure(page, "score")
    score.get_by_role("button", name="Clear").click()
    return score, score.locator(".slate canvas")


def drag(page, points: list[tuple[float, float]]) -> None:
    """Press at the first point, go through the others, let go at the last."""
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point)
    page.mouse.up()


def ring(box: dict, steps: int = 40) -> list[tuple[float, float]]:
    """An oval in the middle of a box: a zero."""
    angles = np.linspace(-np.pi / 2, 1.5 * np.pi, steps)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return [
        (x + 0.2 * box["width"] * np.cos(a), y + 0.32 * box["height"] * np.sin(a)) for a in angles
    ]


def cross(box: dict) -> list[tuple[float, float]]:
    """A zigzag through the middle of a box: no digit at all."""
    at = [(0.2, 0.2), (0.8, 0.8), (0.5, 0.5), (0.8, 0.2), (0.2, 0.8)]
    return [(box["x"] + u * box["width"], box["y"] + v * box["height"]) for u, v in at]


def said(live_figure) -> str:
    """What a screen reader hears."""
    return live_figure.get_by_role("status").text_content().replace("\u00a0", " ")


def test_the_networks_agree_with_keras(page: Page) -> None:
    images = data.load("mnist-5k").x_test[::10]
    assert len(images) == 100
    for name in ("zeros", "eights"):
        copies, heat, p = page.evaluate(
            """([name, images]) => {
              const d = vaeLive.detectors[name], n = vaeLive.network;
              const copies = images.map((x) => n.reconstruct(d.model, x));
              const heat = images.map((x, i) => n.heat(x, copies[i]));
              const p = heat.map((h) => n.pValue(d.calibration, n.sum(h)));
              return [copies, heat, p].map((all) => all.map((a) => (a.length ? [...a] : a)));
            }""",
            [name, images.reshape(100, -1).astype("float64").tolist()],
        )
        vae, score = rebuild.detector(name), scores.RelativeError()
        shape = (100, 28, 28, 1)
        expected = vae.predict(images, verbose=0)
        np.testing.assert_allclose(np.reshape(copies, shape), expected, atol=TOLERANCE)
        np.testing.assert_allclose(np.reshape(heat, shape), score.map(vae, images), atol=1e-5)
        found = score(vae, images)
        np.testing.assert_allclose(np.sum(heat, axis=1), found, atol=TOLERANCE)
        calibration = np.array(rebuild.content(f"{name}.js")["calibration"])
        clear = np.abs(found[:, None] - calibration).min(axis=1) > TOLERANCE  # no near ties
        assert clear.sum() > 50
        np.testing.assert_allclose(
            np.array(p)[clear], thresholds.p_values(calibration, found)[clear]
        )


def test_the_plane_s_decoder_agrees_with_keras(page: Page) -> None:
    z = np.random.RandomState(0).uniform(-3.5, 3.5, (100, 2)).astype("float32")
    decoded = page.evaluate(
        """(all) => {
          const n = vaeLive.network, decoder = n.load(vaeLive.plane.decoder, vaeLive.plane.weights);
          return all.map((z) => [...n.run(decoder, z)]);
        }""",
        z.astype("float64").tolist(),
    )
    expected = np.asarray(rebuild.plane().decode(z, apply_sigmoid=True)).reshape(100, -1)
    np.testing.assert_allclose(decoded, expected, atol=TOLERANCE)


ENLARGED = """(cut) => {
  const drawing = new Float64Array(260 * 300);
  for (let row = 0; row < 10 * cut.length; row++)
    for (let column = 0; column < 10 * cut[0].length; column++)
      drawing[300 * (7 + row) + 60 + column] = cut[Math.floor(row / 10)][Math.floor(column / 10)];
  return [...vaeLive.prepare(drawing, 300, 260)];
}"""


def test_the_preparation_of_a_drawing_is_that_of_mnist(page: Page) -> None:
    """An MNIST digit, ten times as large and moved to a corner, comes back as it was."""
    images = data.load("mnist-5k").x_test[::25, ..., 0]
    rows = [np.flatnonzero(image.max(axis=1)) for image in images]
    columns = [np.flatnonzero(image.max(axis=0)) for image in images]
    tried = 0
    for image, r, c in zip(images, rows, columns, strict=True):
        cut = image[r[0] : r[-1] + 1, c[0] : c[-1] + 1]
        if max(cut.shape) != 20:  # a few digits of MNIST have faint borders cut away
            continue
        found = page.evaluate(ENLARGED, cut.tolist())
        np.testing.assert_allclose(np.reshape(found, (28, 28)), image, atol=1e-6)
        tried += 1
    assert tried > 20


def test_nothing_drawn_or_a_dot_has_no_verdict(page: Page) -> None:
    assert page.evaluate("vaeLive.prepare(new Float64Array(100), 10, 10)") is None
    score, slate = cleared(page)
    assert "Draw something" in said(score)
    assert score.get_by_role("button", name="Clear").is_disabled()
    slate.scroll_into_view_if_needed()
    slate.click()
    assert said(score).startswith("Go on.")
    assert score.locator(".numbers .p").inner_text() == "–"


COVERED = """(heading) => { // what is painted over its words, or where they leave the screen
  const words = document.createRange();
  words.selectNodeContents(heading);
  const shares = [0.05, 0.25, 0.5, 0.75, 0.95], found = new Set();
  for (const line of words.getClientRects())
    for (const u of shares) for (const v of shares) {
      const [x, y] = [line.x + u * line.width, line.y + v * line.height];
      const page = document.elementFromPoint(x, y), host = heading.getRootNode().host;
      const top = page === host ? heading.getRootNode().elementFromPoint(x, y) : page;
      if (top !== heading) found.add(top ? top.tagName + "." + top.className : "off the screen");
    }
  return [...found];
}"""


@pytest.mark.parametrize("size", [(390, 844), (360, 640)], ids=str)
def test_on_a_phone_the_landing_page_opens_with_a_verdict_to_read(
    visit, site: Path, size: tuple[int, int]
) -> None:
    """No scrolling, and nothing over the heading: as it opens, cleared, and with a drawing."""
    viewport = dict(zip(("width", "height"), size, strict=True))
    page = visit(f"{site.as_uri()}/index.html", **{**PHONE, "viewport": viewport})
    score = figure(page, "score")
    heading, slate = score.locator(".verdict strong"), score.locator(".slate canvas")
    assert heading.text_content() == "Anomaly: not an eight"
    assert heading.evaluate(COVERED) == []
    score.locator("button.clear").evaluate("(button) => button.click()")
    assert heading.text_content() == "Draw something"
    assert heading.evaluate(COVERED) == []
    box = slate.bounding_box()
    seen = min(box["height"], size[1] - box["y"])
    drag(page, cross({**box, "height": seen}))
    soon(lambda: expect(heading).to_have_text("Anomaly: not an eight"))
    assert heading.evaluate(COVERED) == []
    assert page.evaluate("scrollY") == 0


@on_a_phone
def test_on_a_phone_the_verdict_is_in_sight_while_a_finger_draws(page: Page) -> None:
    score = figure(page, "score")
    slate, verdict = score.locator(".slate"), score.locator(".verdict")
    slate.evaluate("(slate) => scrollTo(0, slate.getBoundingClientRect().top + scrollY - 160)")
    said_in, drawn = verdict.bounding_box(), slate.bounding_box()
    assert said_in["y"] >= 0 and said_in["y"] + said_in["height"] <= drawn["y"]  # both whole
    assert drawn["y"] + drawn["height"] <= PHONE["viewport"]["height"]


def test_on_a_phone_nothing_covers_the_verdict_further_down(visit, site: Path) -> None:
    """Nor does the theme's button "Back to top", which comes when the reader scrolls back."""
    page = visit(f"{site.as_uri()}/index.html", **PHONE)
    heading = figure(page, "score").locator(".verdict strong")
    for place in (500, 900, 700, 500):
        page.evaluate(f"scrollTo(0, {place})")
        page.wait_for_timeout(200)
        assert heading.evaluate(COVERED) == []
    assert page.get_by_text("Back to top").is_visible()


def test_on_a_phone_the_verdict_does_not_move_the_slate(visit, site: Path) -> None:
    """Whatever it says: the finger draws on."""
    page = visit(f"{site.as_uri()}/index.html", **PHONE)
    score = figure(page, "score")
    tops = score.locator(".thumb").evaluate_all(
        """(thumbs) => thumbs.map((thumb) => {
          thumb.click();
          return thumb.getRootNode().querySelector(".slate").getBoundingClientRect().top;
        })"""
    )
    assert len(tops) > 10 and len(set(tops)) == 1
    reason = score.locator(".reason")
    assert reason.is_visible() and "cannot explain" in reason.text_content()
    assert not score.locator(".verdict p").is_visible()  # it is said once


@on_a_phone
def test_on_a_phone_the_verdict_does_not_cover_the_slate(page: Page) -> None:
    slate = figure(page, "score").locator(".slate")
    slate.evaluate("(s) => scrollTo(0, s.getBoundingClientRect().bottom + scrollY - innerHeight)")
    drawn = slate.bounding_box()
    assert slate.evaluate(
        """(slate, [x, y]) => slate.contains(slate.getRootNode().elementFromPoint(x, y))""",
        [drawn["x"] + drawn["width"] / 2, drawn["y"] + drawn["height"] - 40],
    )


def test_a_phone_on_its_side_shows_the_verdict_and_leaves_room_to_scroll(visit, site: Path) -> None:
    page = visit(f"{site.as_uri()}/chapters/try_it.html", viewport={"width": 740, "height": 360})
    slate, verdict = (figure(page, "score").locator(name) for name in (".slate", ".verdict"))
    box = slate.bounding_box()
    assert box["height"] < 0.8 * 360 and box["width"] < 0.5 * 740
    slate.evaluate("(slate) => scrollTo(0, slate.getBoundingClientRect().top + scrollY - 60)")
    box = verdict.bounding_box()
    assert box["y"] + box["height"] <= 360 and box["height"] < 100


@over_http_and_from_disk
def test_drawing_with_the_mouse_gives_a_verdict(page: Page) -> None:
    score = figure(page, "score")
    score.get_by_role("button", name="Zeros are normal").click()
    slate = score.locator(".slate canvas")
    slate.scroll_into_view_if_needed()
    drag(page, ring(slate.bounding_box()))
    assert said(score).startswith("Normal: passes for a zero.")
    score.get_by_role("button", name="Clear").click()
    drag(page, cross(slate.bounding_box()))
    assert said(score).startswith("Anomaly: not a zero.")
    assert "p = 0.010" in said(score)
    score.get_by_role("button", name="Undo").click()
    assert "Draw something" in said(score)


def test_a_bold_one_scores_below_a_thin_one_as_the_page_says(page: Page) -> None:
    score = figure(page, "score")
    score.get_by_role("button", name="Eights are normal").click()
    slate, found = score.locator(".slate canvas"), []
    slate.scroll_into_view_if_needed()
    box = slate.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"]
    score.get_by_role("button", name="Clear").click()
    drag(page, [(x, y + share * box["height"]) for share in (0.15, 0.4, 0.85)])
    for pen in ("thin", "medium", "bold"):
        score.get_by_role("button", name=pen).click()
        found.append(float(re.search(r"Score (\d\.\d+)", said(score))[1]))
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.7 * found[0]


def fingers(page, surface) -> Callable[..., None]:
    """`touch(kind, *places)`: fingers on a surface, each in shares of its width and height."""
    surface.scroll_into_view_if_needed()
    page.screenshot()  # now the browser's compositor, which hands touches on, has this very page
    box, session = surface.bounding_box(), page.context.new_cdp_session(page)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [
            {"x": box["x"] + u * box["width"], "y": box["y"] + v * box["height"], "id": i}
            for i, (u, v) in enumerate(places)
        ]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    return touch


def soon(check: Callable[[], None], seconds: float = 5) -> None:
    """Repeat assertions until they hold: the browser hands touches to the page in its own time."""
    end = time.monotonic() + seconds
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > end:
                raise
        time.sleep(0.05)


@on_a_phone
def test_drawing_with_a_finger_gives_a_verdict_and_does_not_scroll(page: Page) -> None:
    score = figure(page, "score")
    score.get_by_role("button", name="Zeros are normal").click()
    touch = fingers(page, score.locator(".slate canvas"))
    before, (first, *others) = page.evaluate("scrollY"), ring(UNIT)
    touch("touchStart", first)
    for place in others:
        touch("touchMove", place)
    touch("touchEnd")
    expect(score.get_by_role("status")).to_contain_text("Normal: passes for a zero.")
    assert page.evaluate("scrollY") == before
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def inked(slate, x: float, y: float) -> bool:
    """Whether a place of the slate, in shares of its side, differs from its empty corner."""
    return slate.evaluate(
        """(canvas, [x, y]) => {
          const { width, height } = canvas, paper = canvas.getContext("2d");
          const grey = (x, y) => paper.getImageData(x * width, y * height, 1, 1).data[0];
          return Math.abs(grey(x, y) - grey(0.01, 0.99)) > 60;
        }""",
        [x, y],
    )


@on_a_phone
def test_a_second_finger_or_the_palm_draws_nothing(page: Page) -> None:
    score, slate = cleared(page)
    touch = fingers(page, slate)
    touch("touchStart", (0.2, 0.2))
    touch("touchStart", (0.2, 0.2), PALM)
    touch("touchMove", (0.2, 0.4), (0.8, 0.7))
    touch("touchEnd")
    expect(score.get_by_role("status")).to_contain_text(re.compile("^(Normal|Anomaly)"))
    assert inked(slate, 0.2, 0.3)
    assert not inked(slate, 0.8, 0.75) and not inked(slate, 0.5, 0.6)


def test_a_stroke_of_the_mouse_and_one_of_the_keyboard_stay_apart(page: Page) -> None:
    _, slate = cleared(page)
    slate.scroll_into_view_if_needed()
    box = slate.bounding_box()
    slate.focus()
    page.keyboard.press("Space")  # the pen is down in the middle
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.up()
    page.keyboard.press("ArrowRight")
    assert inked(slate, 0.15, 0.1) and inked(slate, 0.5, 0.5)
    assert not inked(slate, 0.35, 0.3)


@over_http_and_from_disk
def test_a_screen_reader_finds_the_first_verdict_and_its_numbers(page: Page) -> None:
    tree = figure(page, "score").aria_snapshot()
    assert re.search(r"(Anomaly|Normal): ", tree)
    assert re.search(r"score.*threshold.*p-value", tree.replace("\n", " "))


def test_a_new_theme_leaves_the_keyboard_where_it_was(page: Page) -> None:
    thumb = figure(page, "score").locator(".thumb").first
    thumb.focus()
    page.evaluate("document.body.dataset.theme = 'dark'")
    page.wait_for_function("document.querySelector('[data-vae-live]').dataset.look === 'dark'")
    assert thumb.evaluate("(thumb) => thumb.getRootNode().activeElement === thumb")


def test_drawing_with_the_keyboard_gives_a_verdict(page: Page) -> None:
    score, slate = cleared(page)
    slate.focus()
    page.keyboard.press("Space")
    assert "Pen down" in said(score)
    for _ in range(6):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert re.match(r"(Anomaly|Normal):", said(score))


def test_every_sample_gets_the_verdict_of_the_library(page: Page) -> None:
    score = figure(page, "score")
    for name, digit, label in (("zeros", 0, "Zeros"), ("eights", 8, "Eights")):
        score.get_by_role("button", name=f"{label} are normal").click()
        held, vae = rebuild.content(f"{name}.js"), rebuild.detector(name)
        for title, samples in held["samples"].items():
            buttons = score.get_by_role("group", name=title).get_by_role("button")
            assert buttons.count() == len(samples)
            images = np.stack([rebuild.pixels(sample["pixels"]) for sample in samples])
            found_scores = scores.RelativeError()(vae, images)
            for i, (sample, found) in enumerate(zip(samples, found_scores, strict=True)):
                buttons.nth(i).click()
                alarm = found > held["threshold"]
                assert said(score).startswith("Anomaly" if alarm else "Normal")
                assert abs(float(re.search(r"Score (\d\.\d+)", said(score))[1]) - found) < 6e-4
                truth = "wrong" if alarm == (sample["digit"] == digit) else "right"
                assert f"the detector is {truth}" in said(score)


def counted(threshold_figure) -> tuple[float, int, int]:
    """The threshold, false alarms and misses that the figure shows."""
    text = threshold_figure.get_by_role("slider").get_attribute("aria-valuetext")
    t, alarms, misses = re.match(r"([\d.]+): (\d+) of .*, (\d+) of", text).groups()
    shown = [threshold_figure.locator(f".{kind}").text_content() for kind in ("alarms", "misses")]
    assert shown == [alarms, misses]
    return float(t), int(alarms), int(misses)


@over_http_and_from_disk
def test_the_threshold_s_counts_are_those_of_numpy(page: Page) -> None:
    chart, held = figure(page, "threshold"), rebuild.content("heldout.js")
    normal, anomalous = np.array(held["normal"]), np.array(held["anomalous"])
    slider, plot = chart.get_by_role("slider"), chart.locator("svg.plot")
    plot.scroll_into_view_if_needed()
    seen = []

    def look() -> None:
        t, alarms, misses = counted(chart)
        assert alarms == (normal > t).sum()
        assert misses == (anomalous <= t).sum()
        seen.append((t, alarms, misses))

    look()
    assert seen[0][0] == pytest.approx(held["threshold"], abs=1e-9)
    slider.focus()
    for key in ("ArrowLeft", "ArrowLeft", "PageDown", "Home", "End"):
        page.keyboard.press(key)
        look()
    box = plot.bounding_box()
    for share in (0.1, 0.25, 0.4, 0.7):
        y = box["y"] + box["height"] / 2
        drag(page, [(box["x"] + 0.2 * box["width"], y), (box["x"] + share * box["width"], y)])
        look()
    handle = slider.bounding_box()
    page.mouse.click(handle["x"] + 0.3 * handle["width"], handle["y"] + handle["height"] / 2)
    look()
    for preset in held["presets"]:
        name = f"Threshold for a false-alarm rate of {100 * preset['rate']:.0f}\u00a0%"
        chart.get_by_role("button", name=name, exact=True).click()
        look()
        assert seen[-1][0] == pytest.approx(preset["threshold"], abs=1e-9)
    assert len(set(seen)) > 10
    assert seen[4][1:] == (len(normal), 0)  # Home: everything is an alarm
    assert seen[5][2] == (anomalous <= seen[5][0]).sum() > 0  # End: most is missed


def test_a_drag_over_the_threshold_s_plot_selects_no_words(page: Page) -> None:
    plot = figure(page, "threshold").locator(".plot")
    assert plot.evaluate("(plot) => getComputedStyle(plot).userSelect") == "none"


@on_a_phone
def test_the_threshold_moves_under_the_first_finger(page: Page) -> None:
    chart = figure(page, "threshold")
    touch = fingers(page, chart.locator("svg.plot"))
    touch("touchStart", (0.3, 0.5))
    touch("touchStart", (0.3, 0.5), PALM)
    for share in (0.4, 0.5, 0.6):
        touch("touchMove", (share, 0.5), PALM)
    touch("touchMove", (0.6, 0.5), (0.9, 0.8))
    touch("touchEnd")
    top = rebuild.content("heldout.js")["top"]
    soon(lambda: np.testing.assert_allclose(counted(chart)[0], 0.6 * top, atol=0.05 * top))


def decoded(latent) -> np.ndarray:
    """The pixels of the decoded image, as they are painted."""
    pixels = latent.locator("canvas.decoded").evaluate(
        "(c) => [...c.getContext('2d').getImageData(0, 0, 28, 28).data]"
    )
    return np.reshape(pixels, (28, 28, 4))[..., 0]


def place(latent) -> np.ndarray:
    """z, as the figure says it."""
    text = latent.locator(".z").text_content().replace("\u2212", "-")
    return np.array([float(n) for n in re.findall(r"-?\d\.\d\d", text)])


@over_http_and_from_disk
def test_the_point_of_the_latent_plane_moves_and_the_decoder_follows(page: Page) -> None:
    latent, vae = figure(page, "latent"), rebuild.plane()
    plane = latent.get_by_role("application")
    plane.scroll_into_view_if_needed()
    images = [decoded(latent)]

    def look(expected: tuple[float, float], atol: float) -> None:
        z = place(latent)
        np.testing.assert_allclose(z, expected, atol=atol)
        image = decoded(latent)
        assert np.abs(image - images[-1]).max() > 3
        drawn = np.asarray(vae.decode(z[None].astype("float32"), apply_sigmoid=True))[0, ..., 0]
        assert np.abs((255 - image) / 238 - drawn).max() < 0.06  # z is printed with two decimals
        images.append(image)

    box = plane.bounding_box()
    at = [
        (box["x"] + u * box["width"], box["y"] + v * box["height"])
        for u, v in ((0.5, 0.5), (0.7, 0.2))
    ]
    drag(page, at)
    look((0.4 * 3.5, 0.6 * 3.5), atol=0.05)
    assert "nearest test digits" in said(latent) or "No test digit" in said(latent)
    start = place(latent)
    plane.focus()
    for key, step in (
        ("ArrowRight", (0.1, 0)),
        ("Shift+ArrowDown", (0, -0.5)),
        ("ArrowLeft", (-0.1, 0)),
        ("ArrowUp", (0, 0.1)),
    ):
        page.keyboard.press(key)
        start = start + step
        look(tuple(start), atol=0.011)
    page.keyboard.press("Home")
    look((0, 0), atol=1e-9)


@on_a_phone
def test_the_latent_plane_moves_under_the_first_finger(page: Page) -> None:
    latent = figure(page, "latent")
    touch = fingers(page, latent.get_by_role("application"))
    touch("touchStart", (0.5, 0.5))
    touch("touchStart", (0.5, 0.5), PALM)
    touch("touchMove", (0.25, 0.25), PALM)
    touch("touchMove", (0.25, 0.25), (0.8, 0.7))
    touch("touchEnd")
    soon(lambda: np.testing.assert_allclose(place(latent), (-1.75, 1.75), atol=0.1))


def test_a_walk_does_not_glide_for_those_who_want_no_motion(visit, site: Path) -> None:
    page = visit(f"{site.as_uri()}/chapters/try_it.html", reduced_motion="reduce")
    latent = figure(page, "latent")
    before = place(latent)
    button = latent.get_by_role("button", name="Walk")
    arrived = button.evaluate("(b) => (b.click(), b.getRootNode().querySelector('.z').textContent)")
    page.wait_for_timeout(300)
    assert latent.locator(".z").text_content() == arrived
    assert not np.array_equal(place(latent), before)


def test_the_decoded_map_is_drawn(page: Page) -> None:
    latent = figure(page, "latent")
    latent.get_by_role("button", name="Decoded map").click()
    grid = latent.locator("canvas.grid")
    page.wait_for_function("(c) => c.dataset.complete", arg=grid.element_handle(), timeout=60_000)
    side = grid.evaluate("(c) => c.width")
    corner = grid.evaluate("(c) => [...c.getContext('2d').getImageData(0, 0, 28, 28).data]")
    edge = 3.5 * (1 - 28 / side)
    drawn = rebuild.plane().decode(np.array([[-edge, edge]], "float32"), apply_sigmoid=True)
    painted = (255 - np.reshape(corner, (28, 28, 4))[..., 0]) / 238
    assert np.abs(painted - np.asarray(drawn)[0, ..., 0]).max() < 0.01


@dataclasses.dataclass(eq=False)
class Itself(scores.Score):
    """An item of one number is its own score. It has no name, so other tests do not meet it."""

    def terms(self, vae, x):
        return x[:, 0]


@pytest.mark.parametrize(("rate", "settings"), [(0.05, {}), (0.2, {"memory": 60, "step": 0.1})])
def test_the_thresholds_of_the_stream_are_those_of_the_library(page, rate, settings) -> None:
    """On numbers with ties, which drift up and down again."""
    draw = np.random.RandomState(0).randn
    calibration = np.round(draw(199, 1), 1).astype("float32")
    rise = np.interp(np.arange(2000), [300, 1000, 1500], [0, 3, -1])
    items = np.round(draw(2000) + rise, 1).astype("float32")[:, None]
    vae = VAE(1, "gaussian", (1,), "dense", hidden=(1,))
    detector = AnomalyDetector(vae, Itself()).calibrate(calibration, rate)
    found = page.evaluate(
        """([calibration, rate, items, settings]) => {
          const follow = vaeLive.follow(calibration, rate, ...settings);
          return items.map(follow).map((o) => [o.pValue, +o.online, +o.fixed, +(o.score > o.cut)]);
        }""",
        [calibration[:, 0].tolist(), rate, items[:, 0].tolist(), list(settings.values())],
    )
    p_values, online, fixed, above = np.transpose(found)
    expected = Stream(detector, **settings).push(items)
    np.testing.assert_allclose(p_values, expected.p_values, rtol=1e-12)
    np.testing.assert_array_equal(online, expected.alarms)
    np.testing.assert_array_equal(above, expected.alarms)  # of the threshold as it is drawn
    np.testing.assert_array_equal(fixed, detector.is_anomaly(items))
    assert 0 < fixed.sum() != online.sum() > 0


def shown_rates(stream) -> tuple[int, float, float]:
    """How many items there were, and the rates of false alarms that the figure shows."""
    text = stream.locator("svg.course").get_attribute("aria-label").replace("\u00a0", " ")
    found = re.search(r"(\d+) items.*fixed threshold ([\d.]+ %), online ([\d.]+ %)", text)
    shown = [stream.locator(f".of-{kind}").text_content() for kind in ("fixed", "online")]
    assert [rate.replace("\u00a0", " ") for rate in shown] == [found[2], found[3]]
    return int(found[1]), float(found[2][:-2]), float(found[3][:-2])


@over_http_and_from_disk
def test_the_stream_runs_by_keyboard_and_keeps_its_rate(page: Page) -> None:
    stream = figure(page, "stream")
    begun, fixed, online = shown_rates(stream)
    assert fixed > 3 * online
    stream.get_by_role("slider", name="Drift").focus()
    page.keyboard.press("End")
    more = stream.get_by_role("button", name="100 items more")
    more.focus()
    for _ in range(15):
        page.keyboard.press("Enter")
    count, fixed, online = shown_rates(stream)
    assert count == begun + 1500 and fixed > 90 and 3 <= online <= 7
    assert f"{count} items." in said(stream)
    stream.get_by_role("slider", name="rate asked for").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    count, fixed, online = shown_rates(stream)
    assert count == begun + 1500 and 8 <= online <= 12 and "asked for 10 %" in said(stream)
    stream.get_by_role("button", name="Begin anew").press("Enter")
    assert shown_rates(stream)[0] < begun


def test_the_stream_runs_until_it_is_stopped(page: Page) -> None:
    stream = figure(page, "stream")
    begun = shown_rates(stream)[0]
    stream.get_by_role("button", name="Run").click()
    page.wait_for_timeout(100)
    stream.get_by_role("button", name="Pause").click()
    stopped = shown_rates(stream)[0]
    page.wait_for_timeout(200)
    assert shown_rates(stream)[0] == stopped > begun


def test_a_stream_does_not_run_for_those_who_want_no_motion(visit, site: Path) -> None:
    page = visit(f"{site.as_uri()}/chapters/try_it.html", reduced_motion="reduce")
    stream = figure(page, "stream")
    begun, *_ = shown_rates(stream)
    button = stream.get_by_role("button", name="Run")
    button.click()
    assert shown_rates(stream)[0] == begun + 1000 and button.text_content() == "Run"
    for _ in range(6):
        if button.is_enabled():
            button.click()
    assert button.is_disabled() and shown_rates(stream)[0] == 6000


@over_http_and_from_disk
def test_the_map_of_settings_shows_what_was_measured(page: Page) -> None:
    """By keyboard; the figures that it says are those of the record."""
    settings = figure(page, "settings")
    settings.get_by_label("Data and detector").select_option("tables, ELBO")
    settings.get_by_label("Setting", exact=True).select_option("sigma")
    settings.get_by_role("button", name="Next setting").press("Enter")
    settings.get_by_label("Setting", exact=True).focus()
    page.keyboard.press("ArrowUp")
    results = records.measured("settings_keel")["results"]["one_class"]
    means = {}
    for value, change in (("0.2", "sigma 0.2"), ("1.0", "sigma 1.0"), ("learned", "defaults")):
        means[value] = [np.mean(results[change][name]) for name in ("elbo", "auroc_elbo")]
    for i, (panel, digits) in enumerate((("elbo", 1), ("auroc", 3))):
        label = settings.locator(f"svg.{panel}").get_attribute("aria-label")
        shown = dict(re.findall(r"([\w.]+): ([\u2212\d.]+\d)", label))
        shown = {value: float(text.replace("\u2212", "-")) for value, text in shown.items()}
        expected = {value: pair[i] for value, pair in means.items()}
        assert shown == pytest.approx(expected, abs=0.6 * 10**-digits)
    tops = [max(means, key=lambda value, i=i: means[value][i]) for i in range(2)]
    words = "The mean ELBO is largest at {}, the mean AUROC at {}."
    assert tops[0] != tops[1] and words.format(*tops) in said(settings)


def test_figures_follow_the_theme_of_the_page(page: Page) -> None:
    hosts = page.locator("[data-vae-live]")
    assert hosts.count() == len(live.FIGURES)
    paper = "(h) => getComputedStyle(h).getPropertyValue('--paper').trim()"
    for theme, colour in (("dark", "#0f131a"), ("light", "#fff")):
        page.evaluate("(t) => (document.body.dataset.theme = t)", theme)
        for i in range(len(live.FIGURES)):
            page.wait_for_function(
                "([h, t]) => h.dataset.look === t", arg=[hosts.nth(i).element_handle(), theme]
            )
            assert hosts.nth(i).evaluate(paper) == colour


def test_every_control_and_picture_has_a_name(page: Page) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("[data-vae-live]")].flatMap((host) => {
          const root = host.shadowRoot, label = (e) => e.getAttribute("aria-label");
          const by = (e) => root.getElementById(e.getAttribute("aria-labelledby"))?.textContent;
          const kinds = "button, input, canvas, svg, section, [role]:not([role=status])";
          const silent = "[aria-hidden=true], button canvas, .strip canvas";
          return [...root.querySelectorAll(kinds)].filter((e) => !e.closest(silent))
            .filter((e) => !(label(e) || by(e) || (e.matches("button") && e.textContent.trim())))
            .map((e) => e.outerHTML.slice(0, 80));
        })"""
    )
    assert nameless == []


def test_focus_is_seen_on_every_control(page: Page) -> None:
    figure(page, "score").get_by_role("button", name="Zeros are normal").focus()
    stops = []
    for _ in range(80):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            """() => {
              const host = document.activeElement, e = host.shadowRoot?.activeElement;
              return e && [host.dataset.vaeLive, e.tagName, getComputedStyle(e).outlineWidth];
            }"""
        )
        if stop:
            stops.append(stop)
    assert {name for name, *_ in stops} == set(live.FIGURES)
    assert {tag for _, tag, _ in stops} >= {"BUTTON", "CANVAS", "INPUT", "DIV", "SELECT"}
    assert {width for *_, width in stops} == {"3px"}


def test_the_whole_demo_is_small(site: Path) -> None:
    page = site / "chapters" / "try_it.html"
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    loaded = [tag["src"] for tag in soup.select("script[src^='../live/'], img[src^='../live/']")]
    assert len(loaded) == 21
    size = sum(len(gzip.compress((page.parent / src).read_bytes())) for src in loaded)
    assert size < LARGEST


def test_without_javascript_there_is_a_still_picture_and_a_sentence(visit, site: Path) -> None:
    page = visit(f"{site.as_uri()}/chapters/try_it.html", java_script_enabled=False)
    for name in live.FIGURES:
        still = figure(page, name)
        assert still.locator("img").is_visible()
        assert still.locator("img").bounding_box()["width"] > 200
        assert still.locator("img").get_attribute("alt") == live.FIGURES[name].alt
        assert "needs JavaScript" in still.text_content()


def test_a_figure_starts_when_the_reader_comes_near(visit, site: Path) -> None:
    page = visit(f"{site.as_uri()}/chapters/try_it.html", awake=False)
    started = "[...document.querySelectorAll('[data-vae-live]')].map((host) => !!host.shadowRoot)"
    page.wait_for_function(f"{started}[0]")
    assert page.evaluate(started) == [True] + 4 * [False]
    figure(page, "threshold").scroll_into_view_if_needed()
    page.wait_for_function(f"{started}[1]")
    page.keyboard.press("Tab")  # must find the figures, however far away
    assert page.evaluate(started) == 5 * [True]


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_jumps_when_the_first_figure_starts(visit, site: Path, width: int) -> None:
    page = visit(f"{site.as_uri()}/chapters/try_it.html", width, awake=False)
    figure(page, "score").get_by_role("button", name="Clear").wait_for()
    shift = page.evaluate(
        """() => new Promise((done) => new PerformanceObserver((list) =>
          done(list.getEntries().reduce((sum, entry) => sum + entry.value, 0)))
          .observe({ type: "layout-shift", buffered: true })
          || setTimeout(() => done(0), 500))"""
    )
    assert shift < 0.02


@over_http_and_from_disk
def test_with_javascript_the_still_picture_is_gone(page: Page) -> None:
    for name in live.FIGURES:
        assert not figure(page, name).locator("> img").is_visible()


@pytest.mark.parametrize("name", live.FIGURES)
def test_a_notebook_s_output_runs_by_itself(visit, tmp_path: Path, name: str) -> None:
    """As Jupyter shows it, twice on one page, from disk; and with the dark theme of JupyterLab."""
    html = live.show(name)._repr_html_()
    path = tmp_path / "output.html"
    path.write_text(f'<!doctype html><body data-jp-theme-light="false">{html}{html}')
    page = visit(path.as_uri())
    hosts = figure(page, name)
    assert hosts.count() == 2
    for i in range(2):
        assert hosts.nth(i).get_attribute("data-look") == "dark"
        assert hosts.nth(i).get_by_role("status").count() == 1
    button = hosts.nth(1).get_by_role("button").last
    button.click()
    hosts.nth(1).get_by_role("status").filter(has_text=re.compile(r"\w")).wait_for(
        state="attached", timeout=10_000
    )
    assert said(hosts.nth(0)) == ""
