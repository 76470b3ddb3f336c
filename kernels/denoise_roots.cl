/* Opposed roots of light: planes in which the noise is even, and lightness and colour are apart.

     l = from_working light           camera light after white balance, whose noise grows with it alone
     t = l + offset                   offset, one for each colour: the variance of l is proportional to t
     y = sqrt(t)                      below knee its tangent, so that noise around black still averages to black
     z = (r + 2 g + b) / 4, (r - b) / 2, (2 g - r - b) / 4     of y

   The variance of y is the same at every light (Anscombe 1948; Makitalo and Foi 2013,
   doi:10.1109/TIP.2012.2202675). Where offsets are equal, the second and third planes of grey light are 0 exactly. */

__kernel void denoise_roots(__global const float *light, /* H W 3, working space */
                            __global float *planes,      /* 3 H W */
                            int width, int height,
                            float16 roots) /* rows of from_working, each with its colour's offset; s12: knees */
{
    int x = get_global_id(0), y = get_global_id(1);
    if (x >= width || y >= height)
        return;
    size_t plane = (size_t)width * height, at = (size_t)y * width + x;
    float red = light[3 * at], green = light[3 * at + 1], blue = light[3 * at + 2];
    float3 t = (float3)(red * roots.s0 + green * roots.s1 + blue * roots.s2 + roots.s3,
                        red * roots.s4 + green * roots.s5 + blue * roots.s6 + roots.s7,
                        red * roots.s8 + green * roots.s9 + blue * roots.sa + roots.sb);
    float3 root = even_root(t, roots.scde);
    planes[at] = 0.25f * (root.x + root.z) + 0.5f * root.y;
    planes[plane + at] = 0.5f * (root.x - root.z);
    planes[2 * plane + at] = 0.5f * root.y - 0.25f * (root.x + root.z);
}
