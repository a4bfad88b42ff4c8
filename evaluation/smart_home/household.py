"""The home that the sentences speak of: what its rooms, devices, people and lists are called.

The public templates leave these names to each household, so the evaluation states one, fixed and invented.
"""

from collections.abc import Mapping, Sequence

from hassil.intents import SlotList, TextSlotList

AREAS = ("kitchen", "living room", "bedroom", "bathroom", "garage", "hallway", "office", "nursery", "patio", "basement")
FLOORS = ("first", "second", "ground", "upper", "top")

FREE_TEXT: Mapping[str, Sequence[str]] = {
    "message": ("dinner is ready", "the bus is here", "we leave in five minutes", "the parcel has arrived"),
    "search_query": ("miles davis", "abbey road", "bohemian rhapsody", "morning jazz", "the daily news", "deep focus"),
    "zone": ("work", "school", "the gym", "the cabin"),
    "timer_name": ("pizza", "laundry", "tea", "homework", "workout", "oven"),
    "timer_command": ("turn off the lights", "open the blinds", "lock the front door", "start the coffee machine"),
    "shopping_list_item": ("milk", "apples", "bread", "paper towels", "olive oil", "eggs"),
    "todo_list_item": ("call the plumber", "water the plants", "pay the rent", "book a dentist", "renew the passport"),
}

NAMES_BY_DOMAIN: Mapping[str, Sequence[str]] = {
    "light": ("desk lamp", "ceiling light", "porch light", "reading lamp"),
    "switch": ("coffee machine", "garden pump", "space heater"),
    "fan": ("ceiling fan", "tower fan", "attic fan"),
    "cover": ("left curtain", "garage door", "skylight blind"),
    "valve": ("water valve", "sprinkler valve", "radiator valve"),
    "lock": ("front door", "back door", "garden gate"),
    "climate": ("thermostat", "heat pump", "air conditioner"),
    "media_player": ("smart speaker", "television", "soundbar"),
    "binary_sensor": ("phone charger", "smoke alarm", "leak sensor"),
    "sensor": ("outdoor humidity", "fridge power", "rain gauge"),
    "input_boolean": ("guest mode", "holiday mode"),
    "person": ("alice", "robert", "maria"),
    "weather": ("london", "new york", "lisbon"),
    "lawn_mower": ("mowbot", "lawn robot"),
    "vacuum": ("robo vac", "dusty", "floor robot"),
    "todo": ("chores", "groceries", "errands"),
    "scene": ("movie night", "romantic dinner", "party time"),
    "button": ("doorbell chime", "router restart"),
    "input_button": ("feed the cat",),
    "script": ("good morning", "bedtime routine"),
}


def slot_lists(domains: Sequence[str]) -> dict[str, SlotList]:
    """The household's slot lists for a template block whose ``{name}`` means a device of one of ``domains``."""
    names = [name for domain in domains for name in NAMES_BY_DOMAIN.get(domain, ())]
    lists: dict[str, SlotList] = {
        "area": TextSlotList.from_strings(AREAS, allow_template=False),
        "floor": TextSlotList.from_strings(FLOORS, allow_template=False),
        "name": TextSlotList.from_strings(names, allow_template=False),
    }
    for name, values in FREE_TEXT.items():
        lists[name] = TextSlotList.from_strings(values, allow_template=False)
    return lists
