/* The next coarser level of the matching pyramid: the mean of 2 x 2 values, rounded half up. A constant
   picture is unchanged; for odd sizes the edge is repeated. */
__kernel void merge_halve(__global const ushort *fine, __global ushort *coarse, int fine_width, int fine_height,
                          int width, int height)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    int x1 = min(2 * x + 1, fine_width - 1), y1 = min(2 * y + 1, fine_height - 1);
    size_t top = (size_t)(2 * y) * fine_width, bottom = (size_t)y1 * fine_width;
    uint sum = (uint)fine[top + 2 * x] + fine[top + x1] + fine[bottom + 2 * x] + fine[bottom + x1];
    coarse[(size_t)y * width + x] = convert_ushort((sum + 2) / 4);
}
