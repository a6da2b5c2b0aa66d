"""Prompts of the contact sheets: names of the training emoji, and things that no set has."""

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor


def _names(text: str) -> list[str]:
    return " ".join(text.split()).split(", ")


KNOWN = _names(
    """
    red apple, green apple, watermelon, pizza, hamburger, doughnut, ice cream, cookie, hot
    beverage, beer mug, dog face, cat face, mouse face, fox, bear, panda, lion, frog, monkey face,
    owl, butterfly, octopus, turtle, unicorn, cactus, sunflower, rose, four leaf clover, mushroom,
    evergreen tree, grinning face, sleeping face, angry face, smiling face with sunglasses, robot,
    alien, ghost, jack-o-lantern, red heart, blue heart, star, rainbow, cloud, snowman, full moon,
    sun, umbrella, rocket, automobile, bus, airplane, sailboat, house, castle, guitar, soccer
    ball, trophy, crown, gem stone, key, light bulb, flag: Japan, check mark button, woman
    astronaut
    """
)
"""64 of the emoji's names."""
UNSEEN = _names(
    """
    purple apple, blue banana, green heart with fire, dog in a rocket, cat with a crown, panda
    eating pizza, pink elephant, red frog, golden fish, black unicorn, blue rose, purple pizza,
    angry apple, sleeping banana, crying pumpkin, robot with sunglasses, bear playing guitar,
    penguin with an umbrella, rabbit on a bicycle, monkey in a car, green cat, blue tree, yellow
    car, pink house, white rocket, red balloon with a face, fox wearing a hat, snowman in the sun,
    heart of gold, green sun, 紫色的苹果, 火箭里的狗
    """
)
"""32 compositions that no set of emoji has."""
MOVING = _names(
    """
    grinning face, crying face, smiling face with heart-eyes, winking face, waving hand, ghost,
    robot, dog, cat face, butterfly, turtle, rocket, automobile, star, red heart, snowman
    """
)
"""Emoji that were learnt from as they move."""
NOT_MOVING = _names("panda, cat, penguin, nerd face, ambulance, pig, beating heart, snail")
"""Emoji that were never seen to move."""
STANDING = _names(
    """
    red apple, pizza, house, purple apple, pink elephant, dog in a rocket, cat with a crown,
    紫色的苹果
    """
)
"""What no clip shows: emoji that only stand, and what is none."""
LABEL, LINE = 26, 18  # pixels below a picture; letters that fit in its width


def titled(pictures: Tensor, titles: list[str], columns: int) -> Image.Image:
    """(N, 3, H, W) uint8 side by side, each with its words below it, on two lines at most."""
    side = pictures.shape[-1]
    cell = max(side + 8, 112)
    rows = -(-len(titles) // columns)
    page = Image.new("RGB", (columns * cell, rows * (side + LABEL + 6)), "white")
    canvas, font = ImageDraw.Draw(page), ImageFont.load_default(10)
    for index, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        left, top = index % columns * cell, index // columns * (side + LABEL + 6)
        tile = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
        page.paste(tile, (left + (cell - side) // 2, top))
        for line, text in enumerate(folded(title)):
            canvas.text(
                (left + cell / 2, top + side + 2 + 12 * line), text, "black", font, anchor="ma"
            )
    return page


def folded(title: str) -> list[str]:
    """At most two lines, broken between words. What the font can't show is spelt out."""
    plain = SPELLED.get(title, title)
    lines = [""]
    for word in plain.split():
        if lines[-1] and len(lines[-1]) + len(word) >= LINE and len(lines) < 2:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


SPELLED = {"紫色的苹果": "purple apple (in Chinese)", "火箭里的狗": "dog in a rocket (in Chinese)"}
