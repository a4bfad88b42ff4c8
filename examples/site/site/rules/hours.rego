package site.rules

# METADATA
# title: Hours
# description: The house takes part at night alone; in UTC, and over midnight where it opens later than it closes.
required contains "hours_open" if not is_aside

proven contains "hours_open" if {
	house := data.site.data.house
	house.opens_at_second <= house.closes_at_second
	second_of_day >= house.opens_at_second
	second_of_day < house.closes_at_second
}

proven contains "hours_open" if {
	house := data.site.data.house
	house.opens_at_second > house.closes_at_second
	some is_open in [second_of_day >= house.opens_at_second, second_of_day < house.closes_at_second]
	is_open
}

# METADATA
# title: Second of the day
# description: Of the time of the question, UTC.
second_of_day := input.context.time - (floor(input.context.time / 86400) * 86400) if is_number(input.context.time)
