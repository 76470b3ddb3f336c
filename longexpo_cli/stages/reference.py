from longexpo_cli.stages.select import reference as reference
