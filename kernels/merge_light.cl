/* Stored values to light:

       light = (value - black) * gain          or, for gamma-encoded pictures, light = curve[value].

   A picture is H rows of W elements that repeat with a period of CFA_ROWS x CFA_COLUMNS: 2 x 2 for a colour
   filter array, 1 x 3 for three colours per pixel. Each position in the period is a plane with its own black
   and gain (curve holds both, plane by plane). value = black gives 0 exactly.

   The light of a colour filter array keeps its layout; that of a picture goes to three planes of plane_rows x
   plane_columns. */
__kernel void merge_light(__global const VALUE *values, __global const float *curve, __global float *light,
                          int width, int height, int plane_columns, int plane_rows)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t at = (size_t)y * width + x;
    int plane = (y % CFA_ROWS) * CFA_COLUMNS + x % CFA_COLUMNS;
    float result = light_of(values[at], curve, plane);
#if CFA_ROWS == 1
    at = ((size_t)plane * plane_rows + y) * plane_columns + x / 3;
#endif
    light[at] = result;
}
