/* Half the resolution of planes: the mean of 2 x 2 pixels, or of those of them that are inside the picture. */

__kernel void denoise_halve(__global const float *fine, /* 3 H W */
                            __global float *coarse,     /* 3 ceil(H / 2) ceil(W / 2) */
                            int fine_width, int fine_height, int width, int height)
{
    int x = get_global_id(0), y = get_global_id(1), c = get_global_id(2);
    if (x >= width || y >= height || c >= 3)
        return;
    size_t first = (size_t)c * fine_height * fine_width;
    size_t above = first + (size_t)(2 * y) * fine_width, below = first + (size_t)min(2 * y + 1, fine_height - 1) * fine_width;
    int left = 2 * x, right = min(2 * x + 1, fine_width - 1);
    coarse[((size_t)c * height + y) * width + x] =
        0.25f * ((fine[above + left] + fine[above + right]) + (fine[below + left] + fine[below + right]));
}
