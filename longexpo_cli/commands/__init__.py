"""One file per command. The summaries are listed here so that --help need not import the commands."""

COMMANDS = {
    "render": "Render bursts into long exposures.",
    "preview": "Print a burst small and quickly, to try options.",
    "batch": "Render every burst under some folders.",
    "info": "Show what a burst contains, without rendering it.",
    "recipe": "Print a recipe: every parameter of every stage, as TOML.",
    "replay": "Run one stage again on the intermediate results of a render.",
    "compare": "Measure how much two images, or those of two folders, differ.",
    "verify": "Render a suite and compare it with what is expected.",
    "devices": "List the OpenCL devices that --device can choose.",
    "weights": "List the networks and their licences; verify their checksums.",
    "synth": "Make a synthetic DNG burst with its ground truth.",
}
