/* The weighted mean light, in the layout in which values are stored.

   The sums hold the reference's light, which is not in counts and has the weight 1. A colour filter array:
   samples / (1 + count), of the first plane of merge_add's counts. A picture: total / (1 + count), of the second
   plane, H W 3. Where nothing was added it is the reference, exactly. */
__kernel void merge_mean(__global const float *light, __global const float *counts, __global float *mean, int width,
                         int height, int block_columns, int block_rows)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t cell = (size_t)(y / 2) * 4 * block_columns + x / 2;
#ifdef PICTURE
    float count = 1.0f + counts[cell + (size_t)16 * block_columns * block_rows];
    for (int c = 0; c < 3; c++) {
        size_t from = ((size_t)c * block_rows * 8 + y) * 8 * block_columns + x;
        mean[((size_t)y * width + x) * 3 + c] = light[from] / count;
    }
#else
    mean[(size_t)y * width + x] = light[(size_t)y * width + x] / (1.0f + counts[cell]);
#endif
}
