/* Stored values to light:

       light = (value - black) * gain          or, for encoded pictures (ENCODED), light = curve[value].

   A picture is H rows of W elements, made of cells of CELL_ROWS x CELL_COLUMNS elements: 2 x 2 for a colour
   filter array, 1 x 3 for pixels of three colours. Each position in the cell is a plane of its own with its
   own black and gain (curve holds both, plane by plane). value = black gives 0 exactly. */
__kernel void merge_light(__global const VALUE *values, __global const float *curve, __global float *light,
                          int width, int height)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
#ifdef ENCODED
    light[at] = curve[convert_int(values[at])];
#else
    int plane = (y % CELL_ROWS) * CELL_COLUMNS + x % CELL_COLUMNS;
    light[at] = (convert_float(values[at]) - curve[2 * plane]) * curve[2 * plane + 1];
#endif
}
