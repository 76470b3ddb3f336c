/* Gradients of the colour differences along rows and down columns (Pekkucuksen and Altunbasak 2010, equation 6),
   summed over five pixels across the direction:

       along(x, y) = sum_{j = -2..2} |h(x - 1, y + j) - h(x + 1, y + j)|,
       down(x, y)  = sum_{i = -2..2} |v(x + i, y - 1) - v(x + i, y + 1)|.

   differences holds (h, v). The outer two pixels are 0. */
__kernel void demosaic_gradients(__global const float2 *differences, __global float2 *gradients, int width,
                                 int rows)
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= rows)
        return;
    size_t at = (size_t)y * width + x;
    float2 sum = 0.0f;
    if (x >= 2 && y >= 2 && x < width - 2 && y < rows - 2)
        for (int n = -2; n <= 2; n++) {
            __global const float2 *across = differences + at + n * width, *beside = differences + at + n;
            sum.x += fabs(across[-1].x - across[1].x);
            sum.y += fabs(beside[-width].y - beside[width].y);
        }
    gradients[at] = sum;
}
