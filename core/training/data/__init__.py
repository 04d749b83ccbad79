"""From a table, a data set or a folder of pictures to exactly what a trainer sees."""
