"""What texts are measured by: requests for stories and poems, and a story to read."""

from typing import Any

STORIES: tuple[tuple[str, str | None], ...] = (
    ("a lighthouse keeper who befriends a whale", None),
    ("a clock that runs backwards", None),
    ("a fox and a baker", "fable"),
    ("the last library in the city", None),
    ("a girl who can talk to rivers", "fairy tale"),
    ("a robot that learns to paint", "science fiction"),
    ("two brothers and an old boat", None),
    ("the missing bell of the village church", "mystery"),
    ("a house with one door too many", "horror"),
    ("a small bear who can't fall asleep", "bedtime"),
    ("a postman in the mountains", None),
    ("a letter that arrives forty years late", "letter"),
    ("the gardener of the moon", "science fiction"),
    ("a wolf who is afraid of the dark", "fable"),
    ("a violin found in the snow", None),
    ("a king who gave away his crown", "fairy tale"),
    ("the night train to the sea", None),
    ("a map drawn by a child", "mystery"),
    ("a bakery that sells dreams", None),
    ("an astronaut who comes home", "science fiction"),
)
POEMS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("autumn", {"form": "haiku"}),
    ("a clumsy knight", {"form": "limerick"}),
    ("time", {"form": "sonnet"}),
    ("the sea at night", {"form": "couplet", "lines": 4}),
    ("the stars", {"form": "acrostic", "acrostic": "STARS"}),
    ("silence", {"form": "free verse", "lines": 6}),
    ("rain", {"form": "haiku"}),
    ("an old sailor", {"form": "limerick"}),
    ("the moon", {"form": "sonnet"}),
    ("an old bridge", {"form": "couplet"}),
    ("the river", {"form": "acrostic", "acrostic": "river"}),
    ("a cat at the window", {"form": "free verse"}),
    ("a crow", {"form": "haiku"}),
    ("a cat who loves tea", {"form": "limerick"}),
    ("leaving home", {"form": "sonnet"}),
    ("a storm", {"form": "couplet", "lines": 6}),
    ("my grandmother's garden", {"form": "acrostic", "acrostic": "ROSE"}),
    ("a frog", {"form": "haiku"}),
    ("a baker", {"form": "limerick"}),
    ("bread", {"form": "couplet"}),
)
HELD_OUT = """\
The ferry to Orlay left at six, and Marta missed it by the length of a cigarette she did not smoke.
She stood on the slip with her bag of tools and watched the lamps go out across the water, one
after another, as somebody walked the deck and put them away for the day.

There would be no other boat before morning. The man in the ticket hut said so twice, in case she
had hoped he was joking, and then he pulled down his shutter and went home on a moped that coughed
at every hill. The harbour emptied. A dog came to look at her, decided that she had no food, and
went away again.

She had come to mend a clock. It hung in the tower of the school on the island, it had been stopped
since the storm in March, and the children, the letter said, had begun to be late for everything
and proud of it. The letter was signed by a teacher called Ines, who wrote in green ink and drew a
small clock without hands beside her name.

Marta sat down on an upturned crate. She took out the movement that she had built over the winter,
wound it with her thumb, and set it on her knee. It was a plain thing of brass and steel, no larger
than a loaf, but in the quiet it sounded like someone walking steadily towards her down a long
corridor. After a while she noticed that she was no longer angry.

At nine the moon came up, and with the moon came a rowing boat. An old woman was in it, rowing the
way that other people knit, without once looking at her hands.

"You are the clock," said the old woman.

"I am the one who mends it."

"That is what I said. Ines sent me. She told me you would be late, everyone is late now, it has
spread to the mainland." She held the boat against the stones with one oar. "Bring it, whatever it
is that is ticking, and don't let it get wet. My grandson has been eight years old since March and
he would like very much to be nine."

Marta laughed, because it was absurd, and got in, because it was dark. Halfway across she put the
movement to her ear. It had fallen into step with the oars, or the oars with it, and for the rest
of that crossing she could not have said which of the two was keeping the time.
"""
"""A story that was written for this measurement, so that no model has read it."""
