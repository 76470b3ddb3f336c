"""One command a file; listed by name here so that --help loads none of them."""

COMMANDS = {
    "render": "Render bursts into long exposures.",
    "batch": "Render every burst under some folders.",
    "info": "Say what a burst holds, without rendering it.",
    "recipe": "Print a recipe: every parameter of every stage, as TOML.",
    "compare": "Measure how far two pictures differ.",
    "devices": "List the OpenCL devices that --device can choose.",
    "weights": "List the networks and their licences, and verify their checksums.",
    "synth": "Make a synthetic DNG burst with its true long exposure.",
}
