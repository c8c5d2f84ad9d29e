"""The developer portal and gateway of the national electronic health operator."""
