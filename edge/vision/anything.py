"""What a picture may show that isn't among the labels: a wide, fixed vocabulary in everyday words.

Animals of all kinds, so that a name that fits better than every label is noticed; landscapes, buildings and
things, so that a picture of none of the labels' kind is. It was put together once, without looking at any
picture.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from edge.vision.labels import Label, LabelSet

_ANIMALS: Final = """
aardvark ant antelope armadillo baboon badger bat bear beaver bee beetle bird bison boar buffalo butterfly
camel cat chicken chimpanzee cow coyote crab crane crocodile crow deer dog dolphin donkey duck eagle
elephant elk ferret fish flamingo fly fox frog gazelle giraffe goat goose gorilla hamster hare hawk hedgehog
heron hippopotamus horse hyena insect jackal jaguar kangaroo koala lemur leopard lion lizard llama lynx
marmot mole mongoose monkey moose mouse opossum ostrich otter owl panda panther parrot peacock pelican
penguin pig pigeon porcupine puma rabbit raccoon rat rhinoceros salamander scorpion seal shark sheep skunk
sloth snail snake sparrow spider squirrel stork swan tapir tiger toad tortoise turkey turtle vulture wallaby
walrus warthog weasel whale wolf wolverine worm zebra
"""
_THINGS: Final = """
forest, grass, meadow, tree trunk, leaves, bush, rocks, sand, desert, snow, ice, river, lake, sea,
waterfall, mountain, sky, clouds, fog, rain, night, sunset, mud, path, road, bridge, building, house,
church, castle, tower, pyramid, ruins, temple, statue, wall, fence, gate, door, window, stairs, street,
city, village, field, garden, park, farm, barn, person, face, hand, crowd, hunter, hiker, child, car, truck,
bus, train, bicycle, motorcycle, boat, ship, airplane, tent, table, chair, bed, sofa, lamp, kitchen,
bathroom, food, fruit, vegetable, bread, cake, meat, cup, bottle, plate, flower, mushroom, book, paper,
text, sign, map, screen, computer, telephone, camera, clock, clothes, shoe, hat, bag, ball, toy, tool,
machine, wheel, rope, wire, pipe, bucket, barrel, gun, knife, money, painting, musical instrument, sports,
darkness, blur, pattern, shadow
"""


@cache
def anything() -> LabelSet:
    """The vocabulary as a label set, to be embedded and kept as one; each word alone and in a caption."""
    animals = [Label(label=word, prompts=(word, f"a photo of a {word}")) for word in _ANIMALS.split()]
    words = (" ".join(word.split()) for word in _THINGS.split(","))
    things = [Label(label=word, prompts=(word, f"a photo of {word}")) for word in words]
    return LabelSet(name="anything", title="Anything else", labels=(*animals, *things))
