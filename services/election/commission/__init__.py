"""The election commission: roll, codes, enrolment, cancel records, batches, freeze, records."""
